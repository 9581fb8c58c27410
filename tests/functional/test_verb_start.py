"""The verbs of bin/NAME, each in a process of its own."""
import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys

import pytest
import zc.zk.embedded
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import START
from zkzopeserver_support.processes import Process
from zkzopeserver_support.processes import asking
from zkzopeserver_support.processes import is_alive
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import script
from zkzopeserver_support.processes import started
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get


@pytest.fixture
def web(zookeeper, tmp_path, tree):
    """``bin/web`` on the test's ZooKeeper."""
    with script(write_ini(tmp_path, zookeeper.connection_string,
                          monitor_server='127.0.0.1:0')) as made:
        yield made


@pytest.fixture(scope='module')
def embedded():
    """An embedded ZooKeeper for the tests that are about processes."""
    with zc.zk.embedded.Server(max_session_timeout=60_000) as server:
        with zc.zk.ZooKeeper(server.connection_string) as zk:
            zk.import_tree('/fooservice\n  /providers\n')
            server.zk = zk
            yield server


@pytest.fixture
def local(embedded, tmp_path):
    """A function: ``bin/web`` on that ZooKeeper.

    It takes options of the command line, and those of the ini by name.
    """
    made = []

    def make(*options, **ini):
        made.append(script(write_ini(
            tmp_path, embedded.connection_string, **ini), *options))
        return made[-1].__enter__()

    yield make
    for each in made:
        each.__exit__(None, None, None)
    wait_for(lambda: not embedded.zk.get_children(PATH), 15,
             'the nodes to go')


def test_from_start_to_stop(web, tree):
    """One test for all, as each verb takes a process."""
    assert web('status', status=3) == 'web: not running\n'
    assert 'web: up, pid ' in web('start')
    # The node is there when `start` returns.
    (address, data), = registered(tree).items()
    assert get(address)[0] == 200
    assert data['pid'] == web.pid
    assert web('status').splitlines()[1:] == [
        f'  {address} (pid {web.pid}): registered, answers 200']

    found = json.loads(web('status', '--json'))
    assert (found['state'], found['pid']) == ('running', web.pid)
    assert web('status', '--nagios').startswith('web OK: running, pid ')
    assert web('tree') == (
        f"/providers\n  /{address}\n    monitor = '{data['monitor']}'\n"
        f'    pid = {web.pid}\n')

    # Out of rotation and back: meanwhile its monitor is not in ZooKeeper.
    assert web('monitor', 'deregister') == 'withdrawn\n'
    assert tree.get_children(PATH) == []
    assert f'pid {web.pid}: alive, not registered' in web(
        'status', status=150)
    assert web('monitor', 'register') == 'registered\n'
    assert tree.get_children(PATH) == [address]

    said = web('stop')
    assert tree.get_children(PATH) == []
    assert said.endswith('web: stopped\n')
    assert web.processes() == []
    assert not web.file('pid').exists() and not web.file('sock').exists()
    assert web('stop') == 'web: not running\n'
    assert web('status', status=3) == 'web: not running\n'


def test_restart_and_reload_of_one_process(local, embedded):
    web = local()
    # Not running: `restart` starts it.
    assert 'up, pid' in web('restart')
    first, = embedded.zk.get_children(PATH)
    pid = web.pid
    said = web('reload').splitlines()
    assert said[0] == ('web: it is one process (workers = 1), which cannot be'
                       ' replaced without a gap: restarting it instead')
    second, = embedded.zk.get_children(PATH)
    assert second != first and web.pid != pid
    web('stop')


def test_reload_rolls_several_workers(web, tree):
    web.options = ('workers=2',)
    assert '(2 workers)' in web('start')
    before = registered(tree, count=2)
    # What `start` was given on its command line need not be repeated.
    web.options = ()
    said = web('reload')
    after = registered(tree, count=2)
    assert not {data['pid'] for data in before.values()} & {
        data['pid'] for data in after.values()}
    assert said.endswith('reloaded: 2 workers replaced\n')
    assert '2 of 2 registered and answering' in web('status')

    # All monitor servers are asked, or that of the chosen provider.
    said = web('monitor', 'loglevel')
    assert said == ''.join(f'{name}:\nroot: INFO\n' for name in sorted(after))
    chosen = max(after)
    said = web('monitor', '--at', chosen, 'status', 'json')
    assert json.loads(said)['nodes'] == [f'{PATH}/{chosen}']
    assert 'web: no provider is registered at x:1; there are ' + min(
        after) in web('monitor', '--at', 'x:1', 'status', status=1)

    # Workers that are out of rotation are found as well.
    web('monitor', '--at', chosen, 'deregister')
    assert tree.get_children(PATH) == [min(after)]
    said = web('monitor', 'register').splitlines()
    assert sorted(said[1::2]) == ['registered', 'registered']
    assert f'pid {after[chosen]["pid"]}:' in said
    assert sorted(tree.get_children(PATH)) == sorted(after)
    web('stop')
    assert tree.get_children(PATH) == []
    assert web.processes() == []


def test_a_reload_that_fails_leaves_the_old_workers(local, embedded,
                                                    tmp_path):
    web = local(workers='2', loggers='INFO')
    web('start')
    before = sorted(embedded.zk.get_children(PATH))
    # The option is right, but this machine has no such address.
    write_ini(tmp_path, embedded.connection_string, workers='2',
              host='203.0.113.1')
    said = web('reload', status=1)
    assert 'not reloaded: new worker ' in said and 'has ended' in said
    assert '2 of 2 old workers are left' in said
    assert 'cannot listen on 203.0.113.1' in said
    assert sorted(embedded.zk.get_children(PATH)) == before
    # The option is wrong: nothing is tried.
    ini = write_ini(tmp_path, embedded.connection_string, workers='0')
    assert "option 'workers': '0' is not" in web('reload', status=2)
    assert "option 'workers': '0' is not" in web('restart', status=2)
    assert sorted(embedded.zk.get_children(PATH)) == before
    # A server with a wrong ini can be stopped.
    ini.write_text(ini.read_text().replace('path', 'pth'))
    web('stop')
    assert web.processes() == []


def test_a_start_that_fails_says_why(local, tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        web = local(port=str(port))
        said = web('start', status=2)
    assert 'web: the server has ended with status 2 before it was up' in said
    assert f'the last lines of {tmp_path}/web.log:' in said
    assert f'cannot listen on 127.0.0.1:{port}' in said
    assert web('status', status=3) == 'web: not running\n'
    wait_for(lambda: web.processes() == [], 5, web.log)


@pytest.mark.parametrize('ini, status, words', [
    (dict(path='/nosuch'), 3, 'there is no /nosuch'),
    (dict(ready='/', ready_timeout='0.2',
          app='call:zkzopeserver_support.running:make_broken'),
     4, "option 'ready'"),
    (dict(app='call:zc.zkzopeserver.nosuch:make'), 1, 'No module named'),
])
def test_the_status_of_a_start_that_fails(local, ini, status, words):
    web = local(**ini)
    said = subprocess_start(web)
    assert said.returncode == status, said.stdout
    assert words in said.stdout
    wait_for(lambda: web.processes() == [], 5, web.log)


def subprocess_start(web):
    """Run `start`; its output may have the traceback of an application."""
    return subprocess.run(
        [sys.executable, '-c', START, str(web.ini), 'start'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, env={
            **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})


def test_a_start_that_takes_too_long_goes_on(local, embedded):
    web = local(wait='wait', path='/fooservice/later')
    said = web_with_timeout(web, 1.5)
    assert said.returncode == 3, said.stdout
    assert 'web: not up within 1.5 s (option ' in said.stdout
    assert 'there is no /fooservice/later' in said.stdout
    assert 'it goes on starting' in said.stdout
    try:
        embedded.zk.import_tree('/fooservice\n  /later\n', trim=False)
        wait_for(lambda: embedded.zk.get_children('/fooservice/later'), 15,
                 web.log)
        # A second `start` waits for the same server.
        assert 'web: already running, pid ' in web('start')
        web('stop')
    finally:
        embedded.zk.delete_recursive('/fooservice/later', force=True)


def web_with_timeout(web, seconds):
    """Run `start` of a script that sets start_timeout."""
    code = START.replace('sys.argv[2:]', 'sys.argv[2:],'
                         f' run={{"start_timeout": {seconds}}}')
    return subprocess.run(
        [sys.executable, '-c', code, str(web.ini), 'start'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, env={
            **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})


def test_a_second_start_and_two_at_once(local, embedded):
    web = local()
    commands = [subprocess.Popen(
        [sys.executable, '-c', START, str(web.ini), 'start'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={
            **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
        for _ in range(2)]
    said = [command.communicate(timeout=60)[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], said
    assert len(embedded.zk.get_children(PATH)) == 1
    pid = web.pid
    assert web('start').startswith(f'web: already running, pid {pid}\n')
    assert web.pid == pid
    assert len(web.processes()) == 2
    web('stop')


def test_a_server_that_dies_comes_back(local, embedded):
    web = local(session_timeout='1000')
    web('start')
    pid = web.pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: (web.file('pid').exists()
                      and web.file('pid').read_text().strip()
                      not in ('', str(pid))), 15, web.log)
    assert web.pid != pid
    assert 'already running' in web('start')
    web('stop')


def test_a_stale_socket_and_a_stale_pid_file(local, embedded):
    """Manager and server were killed at once, and have left them."""
    # Its node stays until the test deletes it.
    web = local(session_timeout='60000')
    web('start')
    pid, (left,) = web.pid, embedded.zk.get_children(PATH)
    for process in web.processes():
        process.kill()
    wait_for(lambda: not web.processes(), 10, 'the processes to end')
    assert web.file('sock').exists() and web.pid == pid
    said = web('status', status=1)
    assert said.startswith(f'web: dead: pid {pid} is gone and has left its'
                           ' pid file\n')
    assert f'(pid {pid}): registered, dead\n' in said
    assert web('status', '--nagios', status=2).startswith('web CRITICAL: ')
    assert 'web: up, pid' in web('start')
    assert web.pid != pid
    web('stop')
    embedded.zk.delete(f'{PATH}/{left}')


def test_stop_without_a_manager(local, embedded):
    """The manager was killed, and the server serves on."""
    web = local()
    web('start')
    manager = web.processes()[0]
    assert 'zdaemon' in manager.cmdline()
    manager.kill()
    wait_for(lambda: len(web.processes()) == 1, 10, 'its end')
    assert 'not started by `start`' in web('status')
    assert 'already running' in web('start')
    assert web('stop').endswith('web: stopped\n')
    assert embedded.zk.get_children(PATH) == []
    assert web('stop') == 'web: not running\n'
    assert web('status', status=3) == 'web: not running\n'


def test_a_second_stop_waits_with_the_first(local, embedded, tmp_path):
    gate = tmp_path / 'gate'
    web = local(threads='2', graceful_timeout='300',
                app='call:zkzopeserver_support.running:make_gated\n'
                    f'gate = {gate}')
    web('start')
    [address] = embedded.zk.get_children(PATH)
    slow, results = asking(address)
    wait_for(lambda: get(address)[0] == 200, 10)
    with contextlib.ExitStack() as stack:
        stops = []
        # Each waits for the one before, so that the last is late enough to
        # be a second signal.
        for _ in range(5):
            stop = stack.enter_context(started(web.ini, 'stop'))
            stops.append(stop)
            wait_for(lambda stop=stop: 'stopping pid' in stop.output, 30,
                     lambda stop=stop: stop.output)
        gate.touch()
        assert [stop.ended() for stop in stops] == [0] * 5
    slow.join()
    assert results[0][0] == 200, results
    assert 'exit status 0' in web.log()


def test_ctrl_c_ends_the_waiting_and_not_the_server(local, embedded):
    web = local(wait='wait')
    with socket.create_server(('127.0.0.1', 0)) as free:
        nowhere = f'127.0.0.1:{free.getsockname()[1]}'
    with started(web.ini, 'start', '-o', f'zookeeper={nowhere}') as process:
        wait_for(lambda: 'waiting for ZooKeeper' in process.output, 30,
                 lambda: process.output)
        process.signal(signal.SIGINT)
        assert process.ended() == 130
        assert process.output.endswith(
            'web: it goes on starting: see `status`, or `stop` it\n'
            'web: interrupted\n')
    assert 'web: running, pid' in web('status', status=4)
    assert 'web: stopped\n' in web('stop')


def test_show_tells_of_what_start_was_given(local, embedded):
    web = local()
    web('start', '-o', 'threads=3', '-o', 'backlog=7')
    shown = web('show', '-o', 'backlog=8').splitlines()
    for words in (['threads', '3', '(given', 'to', 'start)'],
                  ['backlog', '8', '(command', 'line)'],
                  ['workers', '1', '(default)']):
        assert words in [line.split() for line in shown]
    web('stop')
    assert ['threads', '1', '(default)'] in [
        line.split() for line in web('show').splitlines()]


@pytest.mark.parametrize('text', [None, 'no section\n'])
def test_stop_without_an_ini(local, embedded, text):
    """The ini was removed or broken while the server runs."""
    web = local()
    web('start')
    web.ini.unlink()
    if text:
        web.ini.write_text(text)
    said = web('status', status=4)
    assert said.startswith(f'web: {web.ini}: '), said
    assert 'Errno' not in said
    assert web('stop').endswith('web: stopped\n')
    assert not web.file('pid').exists()


def setting(**constants):
    """Return code that sets constants, ``MODULE__NAME=VALUE``."""
    return (
        'from zc.zkzopeserver.cli import settings;'
        'from zc.zkzopeserver.cli.verbs import stop;') + ''.join(
        f'{name.replace("__", ".")} = {value};'
        for name, value in constants.items())


@pytest.mark.parametrize('change', [
    None, 'no section\n', ('graceful_timeout = 300', 'graceful_timeout = x'),
    ('path = /', 'path = ')])
@pytest.mark.parametrize('workers', ['1', '2'])
def test_stop_waits_long_when_the_ini_does_not_tell(
        local, embedded, tmp_path, change, workers):
    """The server drains as long as it was told when it was started."""
    gate = tmp_path / 'gate'
    web = local(workers=workers, graceful_timeout='300', threads='2',
                app='call:zkzopeserver_support.running:make_gated\n'
                    f'gate = {gate}')
    code = setting(settings__OTHERS_S=0.2, settings__STOP_MARGIN_S=-100,
                   stop__TELL_S=0.2)
    with started(web.ini) as process:
        address, *_ = registered(embedded.zk, process, count=int(workers))
        thread, results = asking(address)
        wait_for(lambda: get(address)[0] == 200, 10)
        text = web.ini.read_text()
        web.ini.unlink()
        if change:
            web.ini.write_text(text.replace(*change)
                               if isinstance(change, tuple) else change)
        with contextlib.closing(stop_with(web, code)) as stop:
            wait_for(lambda: f'waiting for pid {process.pid}' in stop.output,
                     30, lambda: stop.output)
            gate.touch()
            assert stop.ended() == 0, stop.output
        assert stop.output.endswith('web: stopped\n')
        assert process.ended() == 0, process.output
        thread.join()
    assert results[0][0] == 200, results


def test_stop_without_an_ini_kills_the_workers_as_well(local, embedded):
    web = local(workers='2', session_timeout='1000')
    with started(web.ini) as process:
        registered(embedded.zk, process, count=2)
        web.ini.unlink()
        family = web.processes()
        assert len(family) == 3
        for each in family:
            each.suspend()
        with contextlib.closing(stop_with(
                web, setting(settings__UNKNOWN_S=0.5))) as stop:
            assert stop.ended() == 0, stop.output
        assert 'stopped; it was killed' in stop.output
        assert not any(is_alive(each) for each in family)


def test_a_server_in_the_foreground(local, embedded):
    """The verbs find a server that systemd runs."""
    web = local(workers='2', loggers='INFO')
    with started(web.ini) as process:
        wait_for(lambda: len(embedded.zk.get_children(PATH)) == 2, 30,
                 lambda: process.output)
        assert web.pid == process.pid
        assert 'not started by `start`; 2 of 2 registered' in web('status')
        assert web('logreopen') == f'web: told pid {process.pid}\n'
        wait_for(lambda: process.output.count('log files opened anew') == 3,
                 10, lambda: process.output)
        assert 'reloaded: 2 workers' in web('reload')
        assert 'was not started by `start`' in web('restart', status=1)
        assert web('stop').endswith('web: stopped\n')
        assert process.ended() == 0
    assert not web.file('pid').exists()


def test_one_process_in_the_foreground_survives_a_hang_up(local, embedded):
    web = local(loggers='INFO')
    with started(web.ini) as process:
        wait_for(lambda: embedded.zk.get_children(PATH), 30,
                 lambda: process.output)
        process.signal(signal.SIGHUP)
        wait_for(lambda: 'SIGHUP: one process cannot be replaced without a'
                 ' gap' in process.output, 10, lambda: process.output)
        assert 'was not started by `start`' in web('reload', status=1)
        assert process.stopped() == 0


def test_it_ends_with_its_terminal(local, embedded):
    web = local(loggers='INFO')
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, '-c', START, str(web.ini)], stdin=theirs,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={
            **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    try:
        os.close(theirs)
        wait_for(lambda: embedded.zk.get_children(PATH), 30, 'its node')
        os.close(ours)
        # The kernel sends it only to the session that owns the terminal.
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0
        assert embedded.zk.get_children(PATH) == []
    finally:
        process.kill()
        process.wait()


def test_logs_after_a_rotation(local, tmp_path, embedded):
    access = tmp_path / 'access.log'
    web = local(access_log=str(access), loggers=f'''
<logger>
  level INFO
  <logfile>
    path {tmp_path}/event.log
  </logfile>
</logger>''')
    assert web('logreopen') == 'web: not running\n'
    web('start')
    address, = embedded.zk.get_children(PATH)
    logs = [access, tmp_path / 'event.log', web.file('log')]
    for log in logs:
        log.rename(f'{log}.1')
    assert web('logreopen').startswith('web: told zdaemon and pid ')
    wait_for(lambda: 'log files opened anew' in (
        tmp_path / 'event.log').read_text(), 10, 'the new log')
    get(address, '/after')
    wait_for(lambda: 'GET /after ' in access.read_text(), 10,
             'the new access log')
    web('stop')
    assert 'zdaemon Exiting' in web.log()


def test_stop_kills_what_does_not_end(local, embedded, tmp_path):
    """No node and no process is left."""
    web = local(session_timeout='1000')
    web('start')
    os.kill(web.pid, signal.SIGSTOP)
    with contextlib.closing(stop_with(web, setting(
            settings__InstanceSettings__stop_timeout_s=0.5))) as stop:
        assert stop.ended() == 0, stop.output
    assert 'stopped; it was killed, as it took longer than' in stop.output
    assert embedded.zk.get_children(PATH) == []
    assert web.processes() == []
    assert web('status', status=3) == 'web: not running\n'


def stop_with(web, code):
    """Run `stop` in a process that executes `code` first."""
    return Process([sys.executable, '-c', code + START, str(web.ini), 'stop'],
                   web.ini.parent, PYTHONPATH=os.pathsep.join(sys.path))


def test_a_server_that_is_not_ours(tmp_path):
    """The recipe's ``use-server`` makes such an ini; here for waitress."""
    pytest.importorskip('waitress')
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    ini = tmp_path / 'web.ini'
    ini.write_text(f'''\
[app:main]
use = call:zc.zkzopeserver.hello:make_hello
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
''')
    with script(ini) as web:
        assert f'at 127.0.0.1:{port}' in web('start')
        assert get(f'127.0.0.1:{port}')[0] == 200
        assert 'answering\n' in web('status')
        assert 'not zc.zkzopeserver' in web('tree', status=2)
        assert web('stop').endswith('web: stopped\n')
        assert web('status', status=3) == 'web: not running\n'
        assert web.processes() == []


def test_status_when_zookeeper_is_away(local, embedded, tmp_path):
    web = local(wait='serve', loggers='INFO')
    with socket.create_server(('127.0.0.1', 0)) as free:
        nowhere = f'127.0.0.1:{free.getsockname()[1]}'
    web.options = (f'zookeeper={nowhere}',)
    with started(web.ini, '-o', f'zookeeper={nowhere}') as process:
        wait_for(lambda: 'serving on' in process.output, 30,
                 lambda: process.output)
        said = web('status', status=4)
        assert 'whether it is registered is not known' in said
        assert nowhere in said
        said = web('status', '--nagios', status=3)
        assert said.startswith('web UNKNOWN: ')
        assert process.stopped() == 0


def test_started_is_what_serves_if_that_is_enough(local):
    with socket.create_server(('127.0.0.1', 0)) as free:
        nowhere = f'127.0.0.1:{free.getsockname()[1]}'
    web = local(f'zookeeper={nowhere}', wait='serve', workers='2')
    said = web('start')
    assert f'web: serving, pid {web.pid}; it registers as soon as' in said
    said = web('stop')
    assert 'not known whether its node is gone' in said
    assert said.endswith('web: stopped\n')
    assert web.processes() == []


def test_status_with_a_wrong_ini(tmp_path):
    ini = write_ini(tmp_path, 'x:1', port='x')
    with script(ini) as web:
        assert "option 'port'" in web('status', status=4)
        said = web('status', '--nagios', status=3)
        assert said.startswith('web UNKNOWN: ')
        assert said.count('\n') == 1
