"""A deployment runs: from the section to the node in ZooKeeper and back."""
from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import urllib.request

import psutil
import pytest
from zc.zk import ZooKeeper
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import is_alive
from zkzopeserver_support.recipe_sandbox import Sandbox

USER = getpass.getuser()

# The server finds what it requires where this process does.
PATHS = '\n    '.join(path for path in sys.path if os.path.isdir(path))

SECTIONS = f"""
[production]
recipe = zc.recipe.deployment
name = shop
prefix = ${{buildout:directory}}/root
user = {USER}
etc-user = {USER}

[web]
recipe = zc.zkzopeserver
deployment = production
app = egg:sandboxapp
app-options =
    greeting = 100% # hello
    text = one
      two
zookeeper = ZOOKEEPER
path = /shop/web/providers
host = 127.0.0.1
access_log = access.log
deregister_wait = 0
start-timeout = 60
loggers =
    <logger>
      level INFO
      <logfile>
        path ${{production:log-directory}}/event.log
        format %(levelname)s $$(message)s
      </logfile>
    </logger>
tree =
    /shop
      /web
        /providers
extra-paths =
    {PATHS}
"""


@pytest.fixture
def sandbox(short_path, store):
    (short_path / 'b').mkdir()
    return Sandbox(short_path / 'b', store)


@pytest.fixture
def run(sandbox):
    """Return a function that runs a command and returns its output."""
    def run(*command):
        done = subprocess.run(command, cwd=sandbox.root, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == 0, done.stdout
        return done.stdout
    return run


def test_a_deployment_runs(sandbox, zookeeper, run):
    sandbox.built(SECTIONS.replace('ZOOKEEPER', zookeeper.connection_string))
    script = sandbox.path('root', 'etc', 'init.d', 'shop-web')
    with ZooKeeper(zookeeper.connection_string) as zk:
        run('bin/web-tree', 'import')
        assert run('bin/web-tree', 'diff') == ''
        run('sh', '-c', f'umask 077; exec {script} start')
        try:
            [pid] = (zk.get_properties(f'/shop/web/providers/{name}')['pid']
                     for name in zk.get_children('/shop/web/providers'))
            # Not those of the command that has started it.
            process = psutil.Process(pid)
            assert process.cwd() == '/'
            with open(f'/proc/{pid}/status') as status:
                assert 'Umask:\t0027\n' in status
            [address] = zk.get_children('/shop/web/providers')
            with urllib.request.urlopen(f'http://{address}/') as answer:
                options = json.load(answer)[1]
        finally:
            run(script, 'stop')
        assert zk.get_children('/shop/web/providers') == []
    assert options == {'greeting': '100% # hello', 'text': 'one\ntwo'}
    log = sandbox.path('root', 'var', 'log', 'shop')
    assert 'GET / HTTP/1.1' in (log / 'access.log').read_text()
    assert 'INFO serving on' in (log / 'event.log').read_text()
    assert sandbox.path('root', 'var', 'log', 'shop',
                              'web-transcript.log').exists()


def test_removing_the_part_of_a_running_server(sandbox, zookeeper, run):
    text = SECTIONS.replace('ZOOKEEPER', zookeeper.connection_string)
    script = sandbox.path('root', 'etc', 'init.d', 'shop-web')

    def registered():
        with ZooKeeper(zookeeper.connection_string) as zk:
            return [zk.get_properties(f'/shop/web/providers/{name}')['pid']
                    for name in zk.get_children('/shop/web/providers')]

    sandbox.built(text)
    run('bin/web-tree', 'import')
    run(script, 'start')
    try:
        # A part that only changes keeps its server.
        assert 'still runs' not in sandbox.built(text + 'threads = 2\n')
        [pid] = registered()
        warning = ' '.join(sandbox.built('', parts='').split())
        assert f'{script} still runs, as pid {pid}, and is reg' in warning
        assert registered() == [pid]
        sandbox.built(text + 'stop-on-uninstall = true\n')
        assert 'still runs' not in sandbox.built('', parts='')
        assert registered() == []
        assert not psutil.pid_exists(pid)
    finally:
        if script.exists():
            run(script, 'stop')


def test_what_killed_servers_have_left_when_their_part_is_removed(
        sandbox, zookeeper, run):
    """Its nodes would stay for a minute, and no verb is left."""
    text = SECTIONS.replace('ZOOKEEPER', zookeeper.connection_string) + (
        'session_timeout = 60000\n')
    script = sandbox.path('root', 'etc', 'init.d', 'shop-web')
    sessions = sandbox.path('root', 'var', 'run', 'shop', 'web.session')

    def killed(zk):
        """Kill server and zdaemon, which would start it again."""
        [pid] = (zk.get_properties(f'/shop/web/providers/{name}')['pid']
                 for name in zk.get_children('/shop/web/providers'))
        process = psutil.Process(pid)
        for each in process.parent(), process:
            each.kill()
        wait_for(lambda: not is_alive(process))

    with ZooKeeper(zookeeper.connection_string) as zk:
        sandbox.built(text)
        run('bin/web-tree', 'import')
        # Killed before its part is removed.
        run(script, 'start')
        killed(zk)
        assert len(zk.get_children('/shop/web/providers')) == 1
        said = sandbox.built('', parts='')
        assert 'which has died, has ended' in said
        assert zk.get_children('/shop/web/providers') == []
        assert not sessions.exists()
        # Killed when there are no files of it any more.
        sandbox.built(text)
        run(script, 'start')
        assert 'still runs' in sandbox.built('', parts='')
        killed(zk)
        assert len(zk.get_children('/shop/web/providers')) == 1
        sandbox.built(text.replace('[web]', '[other]'), parts='other')
        said = run(sandbox.path('root', 'etc', 'init.d', 'shop-other'),
                   'forget', sessions)
        assert 'which has died, has ended' in said
        assert zk.get_children('/shop/web/providers') == []
        assert not sessions.exists()


LOGROTATE = shutil.which('logrotate', path=os.pathsep.join(
    [os.environ.get('PATH', ''), '/usr/sbin']))


@pytest.mark.skipif(not LOGROTATE, reason='no logrotate (apt-get install'
                    ' logrotate): its configuration is not tried')
@pytest.mark.parametrize('workers', ['1', '2'])
def test_logrotate_rotates_what_a_server_writes(sandbox, zookeeper, run,
                                                workers):
    sandbox.built(SECTIONS.replace('ZOOKEEPER', zookeeper.connection_string)
                  + f'logrotate = true\nworkers = {workers}\n')
    run('bin/web-tree', 'import')
    script = sandbox.path('root', 'etc', 'init.d', 'shop-web')
    logs = sandbox.path('root', 'var', 'log', 'shop')
    transcript = sandbox.path('root', 'var', 'log', 'shop',
                              'web-transcript.log')

    def ask(word):
        """Ask each of the servers."""
        with ZooKeeper(zookeeper.connection_string) as zk:
            addresses = zk.get_children('/shop/web/providers')
        assert len(addresses) == int(workers)
        for address in addresses:
            urllib.request.urlopen(f'http://{address}/{word}').close()

    def said(path, word):
        wait_for(lambda: path.read_text().count(word) >= int(workers), 10,
                 f'{word!r} in {path}')

    run(script, 'start')
    try:
        ask('before')
        said(logs / 'access.log', 'GET /before')
        run(LOGROTATE, '-f', '-s', sandbox.path('state'),
            sandbox.path('root', 'etc', 'logrotate.d', 'shop-web'))
        said(logs / 'event.log', 'log files opened anew')
        ask('after')
        said(logs / 'access.log', 'GET /after')
    finally:
        run(script, 'stop')
    old = (logs / 'access.log.1').read_text()
    assert 'GET /before' in old and 'GET /after' not in old
    assert 'INFO serving on' in (logs / 'event.log.1').read_text()
    # zdaemon writes of the end to the new file.
    assert 'exit status 0' in transcript.read_text()
    assert 'exit status' not in transcript.with_suffix('.log.1').read_text()
