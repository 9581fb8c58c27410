"""Parts in deployments: places and owners of files, units, log rotation."""
from __future__ import annotations

import getpass
import os
import pwd
import shutil
import stat
import subprocess

import pytest
from paste.deploy import loadwsgi

from zc.zkzopeserver import start

USER = getpass.getuser()
IS_ROOT = os.geteuid() == 0
SECRET = 'digest operator:tr0ub4dor'

# Values of several lines.
ZODB = """\
app-options =
    zodb =
        <clientstorage>
          server db:8100
          username me
          password tr0ub4dor
        </clientstorage>
"""
NOTIFIER = """\
loggers =
    <logger>
      level ERROR
      <email-notifier>
        from shop@example.org
        to ops@example.org
        subject Trouble
        smtp-server mail.example.org
        smtp-username shop
        smtp-password tr0ub4dor
      </email-notifier>
    </logger>
"""

DEPLOYMENT = f"""
[production]
recipe = zc.recipe.deployment
prefix = ${{buildout:directory}}/system
name = shop
user = {USER}
etc-user = {USER}
"""

SECTION = """
[web]
recipe = zc.zkzopeserver
deployment = production
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
path = /shop/web
"""


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def files(directory):
    return sorted(str(path.relative_to(directory))
                  for path in directory.rglob('*') if path.is_file())


def server_options(path):
    parser = loadwsgi.ConfigLoader(str(path)).parser
    return dict(parser.items('server:main'))


def test_files_go_where_the_deployment_says(sandbox):
    sandbox.built(DEPLOYMENT + SECTION + 'systemd = true\nlogrotate = true\n'
                  'access_log = access.log\n')
    system = sandbox.path('system')
    assert files(system) == [
        'etc/init.d/shop-web', 'etc/logrotate.d/shop-web',
        'etc/shop/shop-web.service', 'etc/shop/web.ini']
    assert server_options(system / 'etc/shop/web.ini')['access_log'] == str(
        system / 'var/log/shop/access.log')
    script = (system / 'etc/init.d/shop-web').read_text()
    run = system / 'var/run/shop'
    assert (f"main('{system}/etc/shop/web.ini', 'web', run={{"
            f"'pid': '{run}/web.pid', 'socket': '{run}/web.sock',"
            f" 'transcript': '{system}/var/log/shop/web-transcript.log',"
            f" 'user': '{USER}'}})" in script)
    assert mode(system / 'etc/shop/web.ini') == 0o640
    assert mode(system / 'etc/logrotate.d/shop-web') == 0o644
    assert not sandbox.path('bin', 'web').exists()
    sandbox.built(DEPLOYMENT, parts='production')
    assert files(system) == []


@pytest.mark.skipif(not IS_ROOT, reason='only root gives files away')
def test_the_ini_belongs_to_the_deployments_user(sandbox):
    somebody = pwd.getpwnam('nobody')
    sandbox.built(DEPLOYMENT.replace(f'\nuser = {USER}', '\nuser = nobody')
                  + SECTION + f'zookeeper-auth = {SECRET}\n')
    for name in 'web.ini', 'web.auth':
        found = os.stat(sandbox.path('system', 'etc', 'shop', name))
        assert (found.st_uid, found.st_gid) == (somebody.pw_uid,
                                                somebody.pw_gid)


@pytest.mark.parametrize('text, words', [
    (SECTION, "'production' is not a section"),
    (SECTION + '[production]\nuser = x\n', "[production] has no 'etc-dir"),
    (SECTION + DEPLOYMENT.replace(f'user = {USER}', 'user = no-such-user'),
     "the user 'no-such-user' of [production] does not exist"),
])
def test_wrong_deployments_are_refused(sandbox, text, words):
    assert words in sandbox.refused(text)


def test_credentials_are_in_a_file_of_their_own(sandbox):
    sandbox.built(SECTION.replace('deployment = production', '')
                  + f'zookeeper-auth = {SECRET}\n')
    auth = sandbox.path('parts', 'web', 'web.auth')
    assert auth.read_text() == SECRET + '\n'
    assert mode(auth) == 0o600
    ini = sandbox.path('parts', 'web', 'web.ini')
    assert server_options(ini)['zookeeper_auth_file'] == str(auth)
    for path in ini, sandbox.path('.installed.cfg'), sandbox.path('bin/web'):
        assert 'tr0ub4dor' not in path.read_text()
    before = os.stat(ini).st_mtime_ns
    sandbox.built(SECTION.replace('deployment = production', '')
                  + 'zookeeper-auth = digest operator:changed\n')
    assert auth.read_text() == 'digest operator:changed\n'
    assert os.stat(ini).st_mtime_ns == before
    sandbox.built(SECTION.replace('deployment = production', ''))
    assert not auth.exists()
    assert 'zookeeper_auth_file' not in server_options(ini)


def test_a_bad_credential_is_not_told(sandbox):
    error = sandbox.refused(SECTION.replace('deployment = production', '')
                            + 'zookeeper-auth = tr0ub4dor\n')
    assert "option 'zookeeper-auth' takes `digest USER:PASSWORD`" in error
    assert 'tr0ub4dor' not in error


@pytest.mark.parametrize('secret', [
    'app-options = password = tr0ub4dor',
    'app-options = dsn = postgres://me:tr0ub4dor@db/x',
    'global-options = api_key = tr0ub4dor',
    'app-options = db = {"user": "me", "password": "tr0ub4dor"}',
    'app-options = set db_password = tr0ub4dor',
    ZODB,
    NOTIFIER,
])
def test_only_the_owner_can_read_an_ini_with_a_secret(sandbox, secret, capsys):
    text = SECTION.replace('deployment = production', '')
    sandbox.built(text + secret)
    ini = sandbox.path('parts', 'web', 'web.ini')
    assert mode(ini) == 0o600
    assert 'tr0ub4dor' in ini.read_text()
    assert 'tr0ub4dor' not in sandbox.read('.installed.cfg')
    assert start.main(str(ini), 'web', ['show']) == 0
    shown = capsys.readouterr().out
    assert '********' in shown and 'tr0ub4dor' not in shown
    sandbox.built(text + secret.replace('tr0ub4dor', 'changed'))
    assert 'changed' in ini.read_text()


def test_filters_become_a_pipeline(sandbox):
    sandbox.built(SECTION.replace('deployment = production', '') + """
app-options = greeting = hello
filters =
    egg:sandboxapp#one
    egg:sandboxapp#two deep
    third
global-options =
    debug = 100%

[deep]
level = 9

[third]
use = egg:sandboxapp#one
text = a
    # b
""")
    parser = loadwsgi.ConfigLoader(
        str(sandbox.path('parts', 'web', 'web.ini'))).parser
    assert parser.defaults()['debug'] == '100%'
    assert parser.get('pipeline:main', 'pipeline') == 'one deep third app'
    assert parser.get('filter:one', 'use') == 'egg:sandboxapp#one'
    assert parser.get('filter:deep', 'use') == 'egg:sandboxapp#two'
    assert parser.get('filter:deep', 'level') == '9'
    assert parser.get('filter:third', 'text') == 'a\n# b'
    assert parser.get('app:app', 'greeting') == 'hello'


@pytest.mark.parametrize('text, words', [
    ('filters = nothing\n', "'nothing' is neither egg:DIST#NAME nor"),
    ('filters = bad\n[bad]\nx = 1\n', "the factory of 'bad'"),
    ('filters = egg:a#b bad\n[bad]\nuse = egg:a\n', "the factory of 'bad'"),
    ('filters = egg:\n', 'takes `egg:DIST#NAME [SECTION]` lines'),
    ('server-options = x = 1\n', "'server-options' goes with 'use-server'"),
    ('use-server = egg:waitress\n', "of ours there is 'zookeeper', 'path'"),
    ('global-options = threads = 1\nthreads = 2\n',
     "option 'threads' of [server:main] is an option of [DEFAULT] too"),
    ('relative-paths = yes\n', "'yes' is not true or false"),
    ('systemd = etc\n', 'true, false or the absolute path of a directory'),
    ('environment-vars = 1x y\n', 'takes `NAME VALUE` or `NAME=VALUE`'),
])
def test_wrong_options_are_refused(sandbox, text, words):
    section = SECTION.replace('deployment = production\n', '')
    assert words in sandbox.refused(section + text)


def test_another_server(sandbox):
    sandbox.built("""
[web]
recipe = zc.zkzopeserver
app = egg:sandboxapp
use-server = egg:sandboxapp#main
server-options =
    listen = 127.0.0.1:8080
    threads = 4
systemd = true
""")
    ini = sandbox.path('parts', 'web', 'web.ini')
    assert server_options(ini)['listen'] == '127.0.0.1:8080'
    assert server_options(ini)['use'] == 'egg:sandboxapp#main'
    unit = sandbox.read('parts', 'web', 'web.service')
    assert 'Type=exec' in unit


def run(sandbox, *command):
    """Run a script of the sandbox; return what it prints."""
    return subprocess.run(command, cwd=sandbox.root, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def test_scripts_and_interpreter_as_zc_recipe_egg_has_them(sandbox):
    sandbox.built(SECTION.replace('deployment = production', '') + """
eggs = sandboxapp
scripts = hello=greet
interpreter = python
entry-points = other=sandboxapp:hello
extra-paths =
    lib
environment-vars =
    GREETING hello there
    PLACE=${buildout:directory}/x
initialization =
    import sys
    sys.argv[2:] = [word.upper() for word in sys.argv[2:]]
arguments = extra=1
""")
    assert run(sandbox, 'bin/greet', 'my', 'world') == 'hello my WORLD\n'
    assert not sandbox.path('bin', 'other').exists()
    place = sandbox.path('x')
    sandbox.path('show.py').write_text(
        'import os; print(os.environ["PLACE"])')
    assert run(sandbox, 'bin/python', 'show.py') == f'{place}\n'
    script = sandbox.read('bin', 'web')
    assert "'web', extra=1))" in script
    assert str(sandbox.path('lib')) in script
    assert "'GREETING': 'hello there'" in script
    sandbox.built(SECTION.replace('deployment = production', ''))
    assert sorted(os.listdir(sandbox.path('bin'))) == ['web']


def test_entry_points_alone_become_scripts(sandbox):
    sandbox.built(SECTION.replace('deployment = production', '') +
                  'eggs = sandboxapp\nentry-points = other=sandboxapp:hello')
    assert sorted(os.listdir(sandbox.path('bin'))) == ['other', 'web']


def test_only_the_owner_can_read_secret_variables(sandbox):
    sandbox.built(SECTION.replace('deployment = production', '') + """
environment-vars =
    DB_PASSWORD tr0ub4dor
    LANG C.UTF-8
systemd = true
""")
    secrets = sandbox.path('parts', 'web', 'web.secrets.py')
    assert mode(secrets) == 0o600
    assert 'tr0ub4dor' in secrets.read_text()
    script = sandbox.path('bin', 'web')
    assert mode(script) == 0o755
    assert 'tr0ub4dor' not in script.read_text()
    unit = sandbox.read('parts', 'web', 'web.service')
    assert 'Environment=LANG=C.UTF-8' in unit
    assert 'tr0ub4dor' not in unit
    assert 'tr0ub4dor' not in sandbox.read('.installed.cfg')
    before = os.stat(sandbox.path('bin', 'web')).st_mtime_ns
    sandbox.built()
    assert os.stat(sandbox.path('bin', 'web')).st_mtime_ns == before


def test_relative_paths_survive_a_move(sandbox, tmp_path):
    old = tmp_path / 'old place'
    old.mkdir()
    sandbox.root = old
    sandbox.built(SECTION.replace('deployment = production', '') + """
relative-paths = true
app-options =
    database = ${buildout:directory}/var/db
    other = ${buildout:directory}-other/db
access_log = access.log
environment-vars =
    PLACE ${buildout:directory}/lib:/usr/lib:${buildout:directory}
initialization = import sys; print(os.environ['PLACE']); sys.exit()
""")
    new = tmp_path / 'new place'
    old.rename(new)
    sandbox.root = new
    parser = loadwsgi.ConfigLoader(str(new / 'parts/web/web.ini')).parser
    there = f'{new}/parts/web/../..'
    assert parser.get('app:main', 'database') == f'{there}/var/db'
    assert parser.get('app:main', 'other') == f'{old}-other/db'
    assert parser.get('server:main', 'access_log') == f'{there}/access.log'
    script = (new / 'bin' / 'web').read_text()
    assert "main(base + '/parts/web/web.ini', 'web')" in script
    assert run(sandbox, new / 'bin' / 'web') == f'{new}/lib:/usr/lib:{new}\n'


def test_a_script_outside_of_the_buildout_finds_it(sandbox, tmp_path):
    sandbox.root = tmp_path / 'buildout'
    sandbox.root.mkdir()
    sandbox.built(SECTION.replace('deployment = production', '') + """
relative-paths = true
environment-vars = PLACE ${buildout:directory}/lib
initialization = import sys; print(os.environ['PLACE']); sys.exit()
tree =
    /shop
""", buildout=f'bin-directory = {tmp_path}/elsewhere')
    assert (run(sandbox, tmp_path / 'elsewhere' / 'web')
            == f'{sandbox.root}/lib\n')
    assert 'usage:' in run(sandbox, tmp_path / 'elsewhere' / 'web-tree',
                           '--help')


def test_a_command_runs_when_something_changed(sandbox):
    text = (SECTION.replace('deployment = production', '')
            + 'on-change = echo changed >> changes.txt\n')
    sandbox.built(text)
    assert sandbox.read('changes.txt') == 'changed\n'
    sandbox.built()
    assert sandbox.read('changes.txt') == 'changed\n'
    sandbox.built(text + 'unheard-of = 1\n')
    assert sandbox.read('changes.txt') == 'changed\n'
    sandbox.built(text + 'threads = 2\n')
    assert sandbox.read('changes.txt') == 'changed\n' * 2
    sandbox.built(text + 'threads = 2\ninitialization = x = 1\n')
    assert sandbox.read('changes.txt') == 'changed\n' * 3


def test_a_command_that_fails_fails_the_part_and_runs_again(sandbox):
    text = SECTION.replace('deployment = production', '')
    sandbox.built(text)
    ini, script = (sandbox.path('parts', 'web', 'web.ini'),
                   sandbox.path('bin', 'web'))
    before = [(path.read_bytes(), os.stat(path).st_mtime_ns)
              for path in (ini, script)]
    change = text + ('threads = 2\ninitialization = x = 1\n'
                     'zookeeper-auth = digest a:b\non-change = test -e ok\n')
    error = sandbox.refused(change)
    assert "option 'on-change': 'test -e ok' ended with exit status 1" in error
    assert [(path.read_bytes(), os.stat(path).st_mtime_ns)
            for path in (ini, script)] == before
    assert files(ini.parent) == ['web.ini']
    sandbox.path('ok').touch()
    sandbox.built(change)
    assert server_options(ini)['threads'] == '2'


def test_eggs_that_are_missing_offline_leave_everything(sandbox):
    text = SECTION.replace('deployment = production', '')
    sandbox.built(text)
    before = files(sandbox.root)
    error = sandbox.refused(
        text + 'eggs = no-such-distribution\nthreads = 2\n')
    assert "We don't have a distribution for no-such-distribution" in error
    assert files(sandbox.root) == before
    assert 'threads' not in sandbox.read('parts', 'web', 'web.ini')


INSTANCES = SECTION.replace('deployment = production', '') + """
instances = web-1 web-2
access_log = access.log
web-1.port = 8081
web-2.port = 8082
web-2.app-options = greeting = hi from %(instance)s
properties = name = '%(instance)s'
systemd = true
"""


def test_instances_are_servers_of_their_own(sandbox):
    sandbox.built(INSTANCES)
    assert files(sandbox.path('parts')) == [
        'web/web-1.ini', 'web/web-1.service', 'web/web-2.ini',
        'web/web-2.service']
    assert sorted(os.listdir(sandbox.path('bin'))) == ['web-1', 'web-2']
    one, two = (sandbox.path('parts', 'web', f'web-{number}.ini')
                for number in (1, 2))
    assert server_options(one)['port'] == '8081'
    assert server_options(two)['port'] == '8082'
    assert 'greeting' not in one.read_text()
    assert 'greeting = hi from web-2\n' in two.read_text()
    assert server_options(one)['properties'] == "name = 'web-1'"
    sandbox.built(INSTANCES.replace('web-1 web-2', 'web-2').replace(
        'web-1.port = 8081\n', ''))
    assert files(sandbox.path('parts')) == ['web/web-2.ini',
                                            'web/web-2.service']


@pytest.mark.parametrize('text, words', [
    ('web-3.port = 1\n', "'web-3.port': there is no 'web-3' in 'instances'"),
    ('web-1.prt = 1\n', "'web-1.prt' (did you mean 'web-1.port'?)"),
    ('web-1.deployment = x\n', "'deployment' is the same for all instances"),
    ('web-2.threads = no\n', "instance 'web-2': option 'threads': 'no'"),
    ('threads = no\n', "[web]: option 'threads': 'no'"),
])
def test_problems_of_instances(sandbox, text, words):
    error = sandbox.refused(INSTANCES + text)
    assert words in error
    assert len(error.strip().splitlines()) == 1


def test_instances_cannot_share_a_port(sandbox):
    error = sandbox.refused(INSTANCES.replace('8082', '8081'))
    assert ("instances 'web-1' and 'web-2' have the same 'port', 8081"
            in error)


PARTS = """
[common]
recipe = zc.zkzopeserver
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
path = /shop/${:_buildout_section_name_}

[web]
<= common

[api]
<= common
"""


@pytest.mark.parametrize('shared, words', [
    ('port = 8081', "have the same 'port', 8081"),
    ('monitor_server = 127.0.0.1:8082',
     "have the same 'monitor_server', 127.0.0.1:8082"),
    ('metrics = 127.0.0.1:9101', "have the same 'metrics', 127.0.0.1:9101"),
    ('monitor_server = ./monitor.sock',
     "have the same 'monitor_server', {root}/monitor.sock"),
    ('access_log = a.log\nlogrotate = true',
     'have the same log, {root}/a.log: logrotate refuses'),
])
def test_parts_cannot_share(sandbox, shared, words):
    error = sandbox.refused(PARTS.replace('[web]', f'{shared}\n\n[web]'),
                            parts='web api')
    assert error.startswith("[api]: the parts 'web' and 'api' ")
    assert words.format(root=sandbox.root) in error
    assert len(error.strip().splitlines()) == 1


def test_what_parts_can_share(sandbox):
    sandbox.built(PARTS.replace('[web]', 'port = 0\naccess_log = a.log\n'
                                'monitor_server = 127.0.0.1:0\n'
                                'metrics = 127.0.0.1:0\n[web]'),
                  parts='web api')
    sandbox.built(PARTS + 'port = 8081\nhost = 127.0.0.1\n',
                  parts='web api')


@pytest.mark.parametrize('option, words', [
    ('monitor_server = ./web.sock',
     "{system}/run/shop/web.sock would be zdaemon's socket and"
     " 'monitor_server'"),
    ('access_log = web-transcript.log',
     '{system}/log/shop/web-transcript.log would be transcript of `start` and'
     ' log'),
])
def test_files_of_a_server_are_files_of_their_own(sandbox, option, words):
    error = sandbox.refused(DEPLOYMENT + SECTION + option + '\n')
    assert error.strip() == '[web]: ' + words.format(
        system=sandbox.path('system', 'var'))


@pytest.mark.skipif(not shutil.which('systemd-analyze'),
                    reason='no systemd-analyze')
def test_systemd_accepts_the_unit(sandbox):
    sandbox.built(DEPLOYMENT + SECTION + """
systemd = true
environment-vars =
    A one "two" \\ 100% $HOME 'x'
    B=
deregister_wait = 2.5
graceful_timeout = 40
connection_limit = 2000
port = 80
systemd-unit =
    MemoryMax=2G
    Environment=GREETING=hello
    [Unit]
    Documentation=man:shop(1)
access_log = /usr/local/var/log/the shop/access.log
monitor_server = /usr/local/shop/web.sock
""")
    path = sandbox.path('system', 'etc', 'shop', 'shop-web.service')
    unit = path.read_text().splitlines()
    script = sandbox.path('system', 'etc', 'init.d', 'shop-web')
    for line in ('Type=notify', f'User={USER}', f'ExecStart={script}',
                 f'ExecStopPost=-{script} forget',
                 'KillMode=mixed', 'TimeoutStopSec=52.5', 'Restart=on-failure',
                 'StartLimitIntervalSec=0', 'RestartPreventExitStatus=2',
                 'WatchdogSec=30', 'LimitNOFILE=9024:524288',
                 'MemoryMax=2G', 'Documentation=man:shop(1)',
                 r'''Environment="A=one \"two\" \\ 100%% $HOME 'x'"''',
                 'AmbientCapabilities=CAP_NET_BIND_SERVICE',
                 'ReadWritePaths="-/usr/local/var/log/the shop"',
                 'ReadWritePaths=-/usr/local/shop'):
        assert line in unit, line
    verify(path)


@pytest.mark.parametrize('lines, words', [
    ('MemoryMax', "not 'MemoryMax'"),
    ('[Socket]\n    ListenStream=1', "not '[Socket]'"),
    ('Environment=DB_PASSWORD=tr0ub4dor', 'each line but secrets'),
    ('SetCredential=token:tr0ub4dor', 'each line but secrets'),
])
def test_lines_that_a_unit_cannot_have_are_refused(sandbox, lines, words):
    error = sandbox.refused(DEPLOYMENT + SECTION + (
        f'systemd = true\nsystemd-unit =\n    {lines}\n'))
    assert words in error and "option 'systemd-unit'" in error
    assert 'tr0ub4dor' not in error


def verify(path):
    """Let systemd-analyze verify a unit."""
    checked = subprocess.run(
        ['systemd-analyze', 'verify', '--man=no', path], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    told = [line for line in checked.stdout.splitlines() if path.name in line]
    assert (checked.returncode, told) == (0, []), checked.stdout


def test_only_the_unit_of_several_workers_can_be_reloaded(sandbox):
    path = sandbox.path('system', 'etc', 'shop', 'shop-web.service')
    sandbox.built(DEPLOYMENT + SECTION + 'systemd = true\n')
    assert 'ExecReload' not in path.read_text()
    assert 'ReadWritePaths' not in path.read_text()
    sandbox.built(DEPLOYMENT + SECTION + 'systemd = true\nworkers = 2\n')
    assert '\nExecReload=/bin/kill -HUP $MAINPID\n' in path.read_text()
    if shutil.which('systemd-analyze'):
        verify(path)


def test_a_unit_is_written_to_the_directory_given(sandbox):
    units = sandbox.path('units')
    sandbox.built(SECTION.replace('deployment = production', '')
                  + f'systemd = {units}\n')
    assert files(units) == ['web.service']
    sandbox.built(SECTION.replace('deployment = production', ''))
    assert files(units) == []


def test_log_rotation(sandbox):
    sandbox.built(DEPLOYMENT.replace(f'\nuser = {USER}', '\nuser = nobody')
                  if IS_ROOT else DEPLOYMENT, parts='production')
    sandbox.built((DEPLOYMENT.replace(f'\nuser = {USER}', '\nuser = nobody')
                   if IS_ROOT else DEPLOYMENT) + SECTION + """
logrotate = true
access_log = access.log
loggers =
    <logger>
      <logfile>
        path /var/log/event.log
      </logfile>
      <logfile>
        path STDOUT
      </logfile>
    </logger>
""")
    system = sandbox.path('system')
    text = (system / 'etc/logrotate.d/shop-web').read_text()
    assert text.splitlines()[0] == (
        f'"{system}/var/log/shop/access.log" "/var/log/event.log"'
        f' "{system}/var/log/shop/web-transcript.log" {{')
    assert f'{system}/etc/init.d/shop-web logreopen' in text
    if IS_ROOT:
        assert 'su nobody ' in text


LOGGERS = """
loggers =
    <logger>
      <logfile>
        path event.log
      </logfile>
      <logfile>
        path STDERR
      </logfile>
    </logger>
monitor_server = ./monitor.sock
access_log = access.log
"""


def test_relative_names_do_not_depend_on_the_working_directory(sandbox):
    def found(text, *ini):
        sandbox.built(text + LOGGERS)
        parser = loadwsgi.ConfigLoader(str(sandbox.path(*ini))).parser
        lines = parser.get('server:main', 'loggers').split()
        return (lines[lines.index('path') + 1], lines[-3],
                parser.get('server:main', 'monitor_server'),
                parser.get('server:main', 'access_log'))

    root = sandbox.root
    assert found(SECTION.replace('deployment = production', ''),
                 'parts', 'web', 'web.ini') == (
        f'{root}/event.log', 'STDERR', f'{root}/monitor.sock',
        f'{root}/access.log')
    system = sandbox.path('system', 'var')
    assert found(DEPLOYMENT + SECTION, 'system', 'etc', 'shop', 'web.ini') == (
        f'{system}/log/shop/event.log', 'STDERR',
        f'{system}/run/shop/monitor.sock', f'{system}/log/shop/access.log')


def test_a_log_that_instances_share_is_rotated_once(sandbox):
    """logrotate(8) refuses a log with two entries."""
    sandbox.built(DEPLOYMENT + SECTION + """
instances = web-1 web-2 web-3
access_log = access.log
web-3.access_log = other.log
logrotate = true
""")
    folder = sandbox.path('system', 'etc', 'logrotate.d')
    one, two, three = ((folder / f'shop-web-{number}').read_text()
                       for number in (1, 2, 3))
    scripts = [f'{sandbox.root}/system/etc/init.d/shop-web-{number} logreopen'
               for number in (1, 2, 3)]
    assert '/access.log' in one and '/access.log' not in two
    assert scripts[0] in one and scripts[1] in one and scripts[2] not in one
    assert '/web-2-transcript.log' in two and scripts[1] in two
    assert scripts[0] not in two
    assert '/other.log' in three and '/access.log' not in three


@pytest.mark.parametrize('wanted, found', [
    ('daily\n    rotate 3', '"/x/a.log" "{transcript}" {\n    daily\n'
     '    rotate 3\n    sharedscripts\n    postrotate\n'),
    ('/x/*.log {\n        daily\n    }', '/x/*.log {\n    daily\n}\n'),
])
def test_log_rotation_with_other_directives(sandbox, wanted, found):
    found = found.replace('{transcript}',
                          str(sandbox.path('parts', 'web', 'web.log')))
    sandbox.built(SECTION.replace('deployment = production', '')
                  + f'access_log = /x/a.log\nlogrotate =\n    {wanted}\n')
    assert sandbox.read('parts', 'web', 'web.logrotate').startswith(found)
