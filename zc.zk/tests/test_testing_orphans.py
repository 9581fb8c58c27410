"""Test that servers end with the test run that started them."""
import signal
import subprocess
import sys

import psutil
from zc.zk.testing import orphans
from zc.zk.testing.leaks import no_leaks
from zc.zk.testing.waiting import wait_for

#: A test run that starts a server, prints its process number and hangs.
RUN = '''
import subprocess, sys, time
sys.path[:] = {path!r}
from zc.zk.testing import orphans
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],
                         start_new_session=True)
orphans.guard(child.pid)
print(child.pid, flush=True)
time.sleep(60)
'''


def test_server_of_a_killed_run_is_killed():
    with subprocess.Popen([sys.executable, '-c', RUN.format(path=sys.path)],
                          stdout=subprocess.PIPE, text=True) as run:
        server = psutil.Process(int(run.stdout.readline()))
        assert server.is_running()
        run.send_signal(signal.SIGKILL)
    wait_for(lambda: not is_there(server), message='the end of the server')


def test_guard_goes_with_the_last_server():
    with no_leaks():
        servers = [subprocess.Popen([sys.executable, '-c', 'input()'],
                                    stdin=subprocess.PIPE)
                   for _ in range(2)]
        for server in servers:
            orphans.guard(server.pid)
        for server in servers:
            server.communicate()
            orphans.release(server.pid)


def test_the_released_are_spared():
    with subprocess.Popen([sys.executable, '-c', 'print(input())'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as server:
        orphans.guard(server.pid)
        orphans.release(server.pid)
        assert server.communicate('alive')[0] == 'alive\n'


def test_release_of_a_stranger_is_nothing():
    orphans.release(1)


def test_the_list_follows_the_lines(monkeypatch):
    killed = []
    monkeypatch.setattr(orphans.os, 'kill',
                        lambda *arguments: killed.append(arguments))
    orphans.main(['+10\n', '+11\n', '-10\n'])
    assert killed == [(11, signal.SIGKILL)]


def is_there(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
