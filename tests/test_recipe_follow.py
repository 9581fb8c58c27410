"""The recipe that writes a script and a unit for zookeeper_follow."""
from __future__ import annotations

import ast
import os
import re
import subprocess

import pytest

from zc.zkzopeserver.recipe import units

LB = """
[web]
recipe = zc.zkzopeserver:follow
zookeeper = 127.0.0.1:1
paths =
    /shop/web/providers
    api=/shop/api/providers
format = haproxy
socket = /run/haproxy/admin.sock
options = check inter 2s
where =
    rack = 'A7'
    on=True
"""


def test_a_script_and_a_unit(sandbox):
    assert 'unused option' not in sandbox.built(LB)
    script = sandbox.read('bin', 'web')
    for argument in ("'127.0.0.1:1'", "'/shop/web/providers'",
                     "'api=/shop/api/providers'", "'haproxy'",
                     f"'{sandbox.root}/parts/web/web.cfg'",
                     "'--socket=/run/haproxy/admin.sock'",
                     "'--options=check inter 2s'", '"--where=rack = \'A7\'"',
                     "'--where=on=True'"):
        assert argument in script
    assert script.rstrip().endswith('+ sys.argv[1:]))')
    unit = sandbox.read('parts', 'web', 'web.service')
    assert f'\nExecStart={sandbox.root}/bin/web\n' in unit
    for line in ('Type=notify', 'WatchdogSec=120', 'TimeoutStartSec=infinity',
                 'RestartPreventExitStatus=2'):
        assert f'\n{line}\n' in unit
    # Again: nothing is touched.
    before = os.stat(sandbox.path('bin', 'web')).st_mtime_ns
    sandbox.built()
    assert os.stat(sandbox.path('bin', 'web')).st_mtime_ns == before
    sandbox.built('', parts='')
    assert not sandbox.path('bin', 'web').exists()


def test_the_script_takes_further_arguments(sandbox):
    sandbox.built(LB)
    done = subprocess.run(
        [sandbox.path('bin', 'web'), '--dry-run', '--session-timeout', '1'],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert 'zookeeper_follow: no ZooKeeper answered' in done.stderr
    assert not sandbox.path('parts', 'web', 'web.cfg').exists()


def test_unknown_options_are_allowed(sandbox):
    output = sandbox.built(LB + 'unheard-of = 1\n')
    assert "unused option(s): 'unheard-of'" in output
    assert 'unheard' not in sandbox.read('bin', 'web')


def arguments(sandbox):
    """The arguments that the script passes to the command."""
    script = sandbox.read('bin', 'web')
    return ast.literal_eval(re.search(r'(?s)main\((\[.*\]) \+ sys',
                                      script)[1])


CONFIGURATION = """
configuration =
    frontend public
        bind :443

        default_backend web
"""


def test_the_rest_of_the_configuration(sandbox):
    sandbox.built(LB + CONFIGURATION)
    path = sandbox.path('parts', 'web', 'haproxy.cfg')
    assert path.read_text() == (
        'frontend public\n    bind :443\n\n    default_backend web\n')
    assert path.stat().st_mode & 0o777 == 0o644
    assert f'--check=haproxy -c -f {path} -f {{file}}' in arguments(sandbox)
    sandbox.built(LB + CONFIGURATION.replace(
        'default_backend web', 'stats auth admin:sesam')
        + 'check = /bin/check\nconfiguration-file = etc/my proxy.cfg\n')
    assert not path.exists()
    path = sandbox.path('etc', 'my proxy.cfg')
    assert path.read_text().endswith('\n    stats auth admin:sesam\n')
    assert '--check=/bin/check' in arguments(sandbox)
    sandbox.built(LB.replace('haproxy', 'nginx').replace(
        'socket = /run/nginx/admin.sock\noptions = check inter 2s\n', '')
        + CONFIGURATION + 'configuration-file = my nginx.conf\n')
    path = sandbox.path('my nginx.conf')
    assert path.exists()
    assert f"--check=nginx -t -q -c '{path}'" in arguments(sandbox)
    sandbox.built('', parts='')
    assert not path.exists()


def test_two_followers_of_one_file_are_refused(sandbox):
    second = LB.replace('[web]', '[lb]') + 'output = parts/web/web.cfg\n'
    sandbox.write(LB + second, 'web lb')
    assert 'writes' in sandbox.run().output


@pytest.mark.parametrize('old, new, words', [
    ('format = haproxy', 'format = apache', "invalid choice: 'apache'"),
    ('format = haproxy\n', '', "option 'format' is required"),
    ('/shop/web', 'shop/web', 'begins with /'),
    ('api=/shop/api', 'web=/shop/api', 'two services have one name'),
    ('check inter 2s', 'check; server', "'check;' is no option of haproxy"),
    ("rack = 'A7'", 'rack = nonsense()', 'nonsense'),
    ('where =', 'wher =', "unknown option 'wher'"),
    ('where =', 'allow-empty = maybe\nwhere =',
     "option 'allow-empty': 'maybe' is not true or false"),
])
def test_wrong_options_are_refused(sandbox, old, new, words):
    assert words in sandbox.refused(LB.replace(old, new))


def test_wrong_options_are_told_with_unknown_ones(sandbox):
    said = sandbox.refused(LB.replace('format = haproxy', 'format = apache')
                           + 'inteval = 3\nallow-empty = ?\n')
    for words in 'apache', "'inteval'", "'allow-empty'":
        assert words in said


@pytest.mark.parametrize('value, is_allowed', [
    ('', False), ('true', True), ('yes', True), ('off', False)])
def test_an_empty_list_may_be_allowed(sandbox, value, is_allowed):
    sandbox.built(f'{LB}allow-empty = {value}\n')
    assert ('--allow-empty' in sandbox.read('bin', 'web')) is is_allowed


def test_the_file_of_a_proxy_may_be_below_etc():
    text = units.follower('x', '/bin/lb', 'proxy', ['/etc/nginx/conf.d/x'],
                          {'Service': ['Nice=5']})
    assert '\nReadWritePaths=-/etc/nginx/conf.d\n' in text
    assert '\nUser=proxy\n' in text
    assert '\nNice=5\n\n[Install]' in text
