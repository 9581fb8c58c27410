"""The verb `fg`: signals, and the verbs beside it."""
import os
import pty
import signal
import subprocess
import sys

from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import START
from zkzopeserver_support.processes import started
from zkzopeserver_support.running import PATH


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
