"""The verb `start`, and what it has started."""
import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest
from kazoo.exceptions import NoNodeError
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import START
from zkzopeserver_support.processes import started
from zkzopeserver_support.running import PATH


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
    for seconds in 1.5, 5, 20, 60:  # until the server has looked
        said = web_with_timeout(web, seconds)
        assert said.returncode == 3, said.stdout
        assert f'web: not up within {seconds} s (' in said.stdout
        if 'there is no /fooservice/later' in said.stdout:
            break
        web('stop')
    assert f'within {seconds} s (option ' in said.stdout
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
    assert web('start', '-o', 'threads=2').startswith(
        'web: it runs already: -o has no effect without a restart\n'
        f'web: already running, pid {pid}\n')
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
    """Manager and server were killed at once, and have left them.

    The key of the session was lost, so that the node stays until the test
    deletes it.
    """
    web = local(session_timeout='60000')
    web('start')
    pid, (left,) = web.pid, embedded.zk.get_children(PATH)
    for process in web.processes():
        process.kill()
    wait_for(lambda: not web.processes(), 10, 'the processes to end')
    web.file('session').unlink()
    assert web.file('sock').exists() and web.pid == pid
    said = web('status', status=1)
    assert said.startswith(f'web: dead: pid {pid} is gone and has left its'
                           ' pid file\n')
    assert f'(pid {pid}): registered, dead\n' in said
    assert web('status', '--nagios', status=2).startswith('web CRITICAL: ')
    assert 'web: up, pid' in web('start')
    assert web.pid != pid
    web('stop')
    with contextlib.suppress(NoNodeError):
        embedded.zk.delete(f'{PATH}/{left}')


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
