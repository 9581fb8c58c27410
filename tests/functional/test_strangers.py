"""No verb signals a process of which it cannot prove that it is the server's.

The servers of these tests run in a PID namespace of their own, as in a
container that shares the folder with the host.
"""
import contextlib
import fcntl
import os
import signal
import subprocess
import sys

import psutil
import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import START
from zkzopeserver_support.processes import Process
from zkzopeserver_support.processes import is_alive
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import script
from zkzopeserver_support.processes import started
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH

UNSHARE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child']


def can_unshare():
    """Return whether this process may make a PID namespace."""
    try:
        return subprocess.run([*UNSHARE, 'true'],
                              capture_output=True).returncode == 0
    except OSError:
        return False


needs_namespaces = pytest.mark.skipif(
    not can_unshare(), reason='PID namespaces are not allowed here')

# The first process of the outer namespace, with two innocent children.
OUTER = 'sleep 300 & sleep 301 & wait'

VERBS = ['stop', 'restart', 'reload', 'logreopen']

# Prints the pid and the number of each signal that a verb sends.
TELLING = '''
from zc.zkzopeserver.cli import processes
real = processes.send
def send(pid, number, is_ours):
    print('SENT', pid, int(number), flush=True)
    return real(pid, number, is_ours)
processes.send = send
'''


@pytest.fixture
def web(embedded, tmp_path):
    """A function: ``bin/web`` with options of the ini by name."""
    with contextlib.ExitStack() as stack:
        yield lambda **ini: stack.enter_context(
            script(write_ini(tmp_path, embedded.connection_string,
                             session_timeout='2000', **ini)))
    wait_for(lambda: not embedded.zk.get_children(PATH), 30,
             'the nodes to go')


class Host:
    """A PID namespace for the verbs, outside those of the servers.

    In it, process 1 is a shell; `innocents` are the shell and its children.
    """

    def __init__(self, process):
        wait_for(lambda: len(descendants(process)) == 3, 10)
        self.innocents = descendants(process)
        self._enter = ['nsenter', '-t', str(self.innocents[0].pid),
                       '-p', '-m']

    def run(self, web, verb, status=0, code='', inside=()):
        """Run a verb, which must end with `status`; return its output."""
        with contextlib.closing(Process(
                [*self._enter, *inside, sys.executable, '-c', code + START,
                 str(web.ini), verb], web.ini.parent,
                PYTHONPATH=os.pathsep.join(filter(None, sys.path)))) as made:
            assert made.ended() == status, made.output
            return made.output

    @contextlib.contextmanager
    def contained(self, web, command=()):
        """Yield ``bin/web`` in a namespace inside this one.

        It serves, or `command` runs with it as its arguments.
        """
        with started(web.ini, before=[*self._enter, *UNSHARE,
                                      *command]) as process:
            try:
                yield process
            finally:
                kill(process)


def descendants(process):
    """Return the live processes that a process has started."""
    return [each for each in psutil.Process(process.pid).children(
        recursive=True) if is_alive(each)]


def kill(process):
    """Kill what a process has started, which makes it end; wait for that.

    Its parents reap it: the first process of a namespace may not do so.
    """
    for each in descendants(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    wait_for(lambda: not descendants(process), 10)


@pytest.fixture
def host():
    """A `Host`, of which all processes must be left alone."""
    with subprocess.Popen([*UNSHARE, 'sh', '-c', OUTER]) as process:
        try:
            made = Host(process)
            yield made
            assert [each for each in made.innocents
                    if not is_alive(each)] == []
        finally:
            kill(process)


@needs_namespaces
@pytest.mark.parametrize('workers', ['1', '2'])
def test_the_host_stops_the_server_of_a_container(web, embedded, host,
                                                  workers):
    """The file has the number 1; the kernel tells the right one."""
    web = web(workers=workers)
    with host.contained(web) as process:
        registered(embedded.zk, process, count=int(workers))
        assert web.pid == 1
        inside = descendants(process)
        assert host.run(web, 'logreopen').startswith('web: told pid ')
        assert host.run(web, 'stop').endswith('web: stopped\n')
        wait_for(lambda: not any(map(is_alive, inside)), 10, 'their end')
    assert not embedded.zk.get_children(PATH)


@needs_namespaces
def test_the_host_kills_the_workers_of_a_container_alone(web, embedded,
                                                         host):
    """A stranger whose parent is PID 1 of the container is no worker."""
    web = web(workers='2')
    code = ('from zc.zkzopeserver.cli import settings\n'
            'settings.InstanceSettings.stop_timeout_s = 0.5\n' + TELLING)
    with host.contained(web) as process:
        registered(embedded.zk, process, count=2)
        server = next(each for each in descendants(process)
                      if len(each.children()) == 2)
        workers = server.children()
        # An orphan becomes the child of PID 1.
        subprocess.run(
            ['nsenter', '-t', str(server.pid), '-p', '-m', 'sh', '-c',
             'setsid sleep 300 >/dev/null 2>&1 &'], check=True)
        wait_for(lambda: len(server.children()) == 3, 10)
        for each in workers:
            each.suspend()
        sent = [line.split()[1:] for line in
                host.run(web, 'stop', code=code).splitlines()
                if line.startswith('SENT')]
    # The server, and the two workers that don't end.
    assert [int(number) for _, number in sent] == [
        signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL]
    wait_for(lambda: not embedded.zk.get_children(PATH), 30)


@needs_namespaces
@pytest.mark.parametrize('verb', [*VERBS, 'start'])
def test_a_container_leaves_the_server_of_the_host_alone(web, embedded, host,
                                                         verb):
    web = web()
    with started(web.ini) as process:
        registered(embedded.zk, process)
        said = host.run(web, verb, 4, TELLING)
        assert said.startswith('web: ') and said.count('\n') == 1
        assert 'cannot be seen from here' in said
        assert 'no process is signalled' in said
        assert process.popen.poll() is None
        assert process.stopped() == 0


@needs_namespaces
def test_status_in_a_container_is_not_known(web, embedded, host):
    web = web()
    with started(web.ini) as process:
        registered(embedded.zk, process)
        assert 'cannot be seen from here' in host.run(web, 'status', 4)
        assert process.stopped() == 0


@needs_namespaces
@pytest.mark.parametrize('verb', ['status', 'start', 'reload'])
def test_the_host_does_not_judge_the_nodes_of_a_container(web, embedded,
                                                          host, verb):
    """They have pids of the container."""
    web = web()
    with host.contained(web) as process:
        registered(embedded.zk, process)
        said = host.run(web, verb, 4, TELLING).splitlines()
        assert said[-1].startswith('web: running, pid ')
        assert said[-1].endswith('run this where the server runs')
        assert 'SENT' not in ''.join(said)
        if verb == 'status':
            assert len(said) == 1


@needs_namespaces
def test_a_manager_in_a_container(web, embedded, host):
    """The manager tells pids as it sees them."""
    web = web()
    code = ('import subprocess, sys, time;'
            ' subprocess.run([*sys.argv[1:], "start"]); time.sleep(300)')
    with host.contained(web, [sys.executable, '-c', code]) as process:
        registered(embedded.zk, process)
        assert 'in another PID namespace' in host.run(web, 'status', 4)
        assert host.run(web, 'stop').endswith('web: stopped\n')
    assert not embedded.zk.get_children(PATH)


@needs_namespaces
def test_a_manager_on_the_host(web, embedded, host):
    web = web()
    web('start')
    said = host.run(web, 'stop', 4, TELLING)
    assert 'cannot be seen from here' in said and 'SENT' not in said
    assert len(embedded.zk.get_children(PATH)) == 1
    web('stop')


@pytest.fixture
def stranger():
    """A process that has nothing to do with a server."""
    with subprocess.Popen(['sleep', '300'],
                          start_new_session=True) as process:
        yield process
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize('verb, status, words', [
    ('stop', 0, 'web: not running\n'), ('logreopen', 0, 'web: not running\n'),
    ('reload', 1, 'web: not running\n')])
def test_a_pid_that_was_given_again(web, stranger, verb, status, words):
    """Or a pid file that another host or another program has written."""
    web = web()
    web.file('pid').write_text(f'{stranger.pid}\n')
    assert web(verb, status=status) == words


@pytest.mark.parametrize('text', [b'', b'x', b'-1', b'1 2', b'\xff\0',
                                  b'9' * 30])
def test_a_pid_file_with_anything_in_it(web, text):
    web = web()
    web.file('pid').write_bytes(text)
    assert web('stop') == 'web: not running\n'


def test_a_lock_that_a_stranger_has(web, stranger):
    """As of a server of an older release in a container."""
    web = web()
    web.file('pid').write_text(f'{stranger.pid}\n')
    with web.file('pid').open('rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for verb in VERBS:
            said = web(verb, status=4)
            assert f'not provably by pid {stranger.pid}' in said
            assert said.count('\n') == 1


def test_a_server_of_an_older_release(web, embedded):
    """It has locked its pid file with flock(2) alone."""
    web = web()
    code = ('import types\n'
            'from zc.zkzopeserver import locks\n'
            'locks.fcntl = types.SimpleNamespace(**{**vars(locks.fcntl),'
            ' "lockf": lambda *_: None})\n')
    with contextlib.closing(Process(
            [sys.executable, '-c', code + START, str(web.ini)],
            web.ini.parent, PYTHONPATH=os.pathsep.join(
                filter(None, sys.path)))) as process:
        registered(embedded.zk, process)
        assert web('status').startswith(f'web: running, pid {process.pid}')
        assert web('stop').endswith('web: stopped\n')
        assert process.ended() == 0


def test_what_an_older_release_sees(web, embedded):
    """It looks for a BSD lock, and at the number in the file."""
    web = web()
    with started(web.ini) as process:
        registered(embedded.zk, process)
        with web.file('pid').open('rb') as file, \
                pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert web.pid == process.pid
        assert process.stopped() == 0
