"""The verb `top`, on running workers, and on a terminal."""
import os
import pty
import signal
import subprocess
import sys

from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import START
from zkzopeserver_support.processes import registered
from zkzopeserver_support.running import get


def test_workers_are_shown(web, tree, tmp_path):
    web('start', '-o', 'workers=2')
    addresses = sorted(registered(tree, count=2))
    for address in addresses:
        assert get(address)[0] == 200
    lines = web('top', '--once').splitlines()
    assert lines[0].startswith('web: 2 workers, ')
    assert [line.split()[0] for line in lines[2:]] == addresses
    assert all(' registered ' in line for line in lines[2:])
    web('monitor', '--at', addresses[0], 'deregister')
    lines = web('top', '--once').splitlines()
    assert sum(' withdrawn ' in line for line in lines) == 1
    web('stop')
    assert web('top', '--once', status=1) == 'web: not running\n'


def test_a_terminal_has_one_table_that_is_renewed(web, tree):
    web('start')
    address, = registered(tree)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, '-c', START, str(web.ini), 'top', '--interval',
         '0.1'], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(
            filter(None, sys.path))})
    os.close(theirs)
    said = bytearray()

    def read():
        said.extend(os.read(ours, 65536))
        return said.count(b'\x1b[H') >= 3

    try:
        wait_for(read, 30, lambda: said.decode())
        assert said.count(address.encode()) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    web('stop')


def test_without_a_monitor_server(local):
    web = local()
    web('start')
    assert web('top', '--once', status=1) == (
        "web: no monitor server found: there is no option 'monitor_server'\n")
    web('stop')
