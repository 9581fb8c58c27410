"""``zookeeper_watch``, as a process and as a function."""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios

import pytest
from zc.zk.live.columns import FITTED_LINES
from zc.zk.scripts.zookeeper_watch import main
from zc.zk.testing.waiting import wait_for

CODE = ('import sys; from zc.zk.scripts.zookeeper_watch import main;'
        ' sys.exit(main())')


class Watching:
    """A running command, and the lines that it has written."""

    def __init__(self, path, *arguments):
        self.path = path
        with path.open('wb') as output:
            self.popen = subprocess.Popen(
                [sys.executable, '-c', CODE, *arguments], stdout=output,
                stderr=output, stdin=subprocess.DEVNULL, env={
                    **os.environ, 'PYTHONPATH': os.pathsep.join(
                        filter(None, sys.path))})

    def lines(self):
        """What it has written so far."""
        return self.path.read_text().splitlines()

    def wait_line(self, words):
        """Wait for a line with these words; return it."""
        return wait_for(
            lambda: [line for line in self.lines() if words in line], 30,
            lambda: f'{words!r}; it says: {self.lines()}')[0]

    def ended(self):
        """Wait for the end; return the exit status."""
        return self.popen.wait(30)


@pytest.fixture
def watch(zookeeper, tmp_path):
    """A function: start the command on the test's ZooKeeper."""
    made = []

    def start(*arguments):
        made.append(Watching(tmp_path / f'output-{len(made)}',
                             zookeeper.connection_string, *arguments))
        return made[-1]

    yield start
    for each in made:
        each.popen.kill()
        each.popen.wait()


def test_what_comes_goes_and_changes(zookeeper, connect, watch):
    zk = connect()
    running = watch('/service', '/nosuch')
    assert running.wait_line('/service').endswith(
        '/service: 0 servers, 1 node below')
    assert 'there is no such node' in running.wait_line('/nosuch')
    registration = zk.register('/service/providers', '127.0.0.1:8080')
    line = running.wait_line('127.0.0.1:8080 added')
    assert f'(session {zk.client.client_id[0]:#x}, pid = {os.getpid()})' in (
        line)
    registration.update(password='hunter2')
    assert 'hunter2' not in running.wait_line('password')
    registration.withdraw()
    assert ', after ' in running.wait_line('127.0.0.1:8080 deleted')
    zk.client.create('/nosuch')
    running.wait_line('/nosuch added')
    running.popen.send_signal(signal.SIGINT)
    assert running.ended() == 130
    assert 'Traceback' not in '\n'.join(running.lines())


def test_links_are_followed(zookeeper, connect, watch):
    zk = connect()
    zk.import_tree('/front\n  api -> /service/providers\n', trim=False)
    running = watch('/front/api')
    running.wait_line('/service/providers: 0 servers')
    zk.register('/service/providers', '127.0.0.1:8080')
    running.wait_line('/service/providers/127.0.0.1:8080 added')


def test_lines_of_json(zookeeper, connect, watch):
    zk = connect()
    running = watch('/service', '--json')
    first = json.loads(running.wait_line('watch'))
    assert {**first, 'time': ''} == {
        'time': '', 'kind': 'watch', 'path': '/service', 'servers': 0,
        'nodes': 1, 'exists': True}
    zk.register('/service/providers', '127.0.0.1:8080', weight=3)
    told = json.loads(running.wait_line('add node'))
    assert told['path'] == '/service/providers/127.0.0.1:8080'
    assert told['properties'] == {'pid': os.getpid(), 'weight': 3}
    assert told['session'] == f'{zk.client.client_id[0]:#x}'


def test_wait_for_servers(zookeeper, connect, watch):
    zk = connect()
    running = watch('/service', '--until', '2 servers', '-q')
    first = zk.register('/service/providers', '127.0.0.1:8080')
    assert running.popen.poll() is None
    zk.register('/service/providers', '127.0.0.1:8081')
    assert running.ended() == 0
    assert running.lines() == []
    running = watch('/service', '--until', '< 2 servers')
    running.wait_line('2 servers')
    first.withdraw()
    assert running.ended() == 0


def test_a_condition_that_is_met_at_once(zookeeper, connect, capsys):
    connect()
    where = zookeeper.connection_string
    assert main([where, '/service', '--until', 'exists and 1 node']) is None
    assert main([where, '/nosuch', '--until', 'absent']) is None
    assert '/nosuch: there is no such node' in capsys.readouterr().out


def test_a_condition_that_is_not_met_in_time(zookeeper, connect, capsys):
    connect()
    assert main([zookeeper.connection_string, '/service', '--until',
                 '1 server', '--timeout', '0.3', '--interval', '0.1']) == 1
    assert '/service: 0 servers, 1 node below' in capsys.readouterr().out


@pytest.mark.parametrize('arguments, words', [
    (['--until', '3 things'], "argument --until: '3 things' is no condition"),
    (['--timeout', '0'], "argument --timeout: '0' is not a number of seconds"),
    (['--timeout', '3'], '--timeout goes with --until'),
    (['service'], "argument PATH: 'service'"),
])
def test_a_wrong_command_line(nobody, arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main([nobody, *arguments])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_an_outage_is_told_once(zookeeper_server, connect, tmp_path):
    connect()
    running = Watching(tmp_path / 'output',
                       zookeeper_server.connection_string, '/service',
                       '--until', '1 server')
    try:
        running.wait_line('/service: 0 servers')
        zookeeper_server.kill()
        running.wait_line('ZooKeeper does not answer')
        zookeeper_server.start()
        running.wait_line('ZooKeeper answers again')
        connect().register('/service/providers', '127.0.0.1:8080')
        assert running.ended() == 0
        assert sum('not answer' in line for line in running.lines()) == 1
    finally:
        running.popen.kill()
        running.popen.wait()


@pytest.mark.parametrize('columns', [80, 40])
def test_a_terminal_has_lines_that_fit(zookeeper, connect, columns):
    zk = connect()
    zk.import_tree('/service\n  /providers\n')
    ours, theirs = pty.openpty()
    # The size as of tty_ioctl(4): rows, columns, and two that are unused.
    fcntl.ioctl(theirs, termios.TIOCSWINSZ,
                struct.pack('4H', 24, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items()
               if name != 'COLUMNS'}
    process = subprocess.Popen(
        [sys.executable, '-c', CODE, zookeeper.connection_string, '/service'],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env={
            **environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
    os.close(theirs)
    said = bytearray()

    def read(words):
        if select.select([ours], [], [], 1)[0]:
            said.extend(os.read(ours, 65536))
        return words in said

    try:
        wait_for(lambda: read(b'below'), 30, said.decode)
        zk.register('/service/providers', '192.0.2.7:41231',
                    monitor='127.0.0.1:9000')
        wait_for(lambda: read(b'pid = '), 30, said.decode)
        zk.client.set('/service', json.dumps(
            {'note': 'x' * 1000 + '!'}).encode())
        wait_for(lambda: read(b"!'"), 30, said.decode)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    lines = said.decode().splitlines()
    assert max(map(len, lines)) <= columns
    # A name stays with its value.
    assert any("monitor = '127.0.0.1:9000'," in line for line in lines)
    assert sum('xxx' in line for line in lines) <= FITTED_LINES
