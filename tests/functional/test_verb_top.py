"""The verb `top`, on running workers, and on a terminal."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios

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


@contextlib.contextmanager
def terminal(web, interval, columns):
    """Run `top` on a terminal; yield its process, descriptor and output."""
    ours, theirs = pty.openpty()
    resize(ours, columns)
    process = subprocess.Popen(
        [sys.executable, '-c', START, str(web.ini), 'top', '--interval',
         interval], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        env={**{name: value for name, value in os.environ.items()
                if name != 'COLUMNS'},
             'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
    os.close(theirs)
    said = bytearray()

    def read(condition):
        """Read until a condition is true."""
        def step():
            if select.select([ours], [], [], 0.1)[0]:
                said.extend(os.read(ours, 65536))
            return condition(bytes(said))
        wait_for(step, 30, lambda: said.decode())
        return bytes(said)

    try:
        yield process, ours, read
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def resize(descriptor, columns):
    """Set the size of a terminal, tty_ioctl(4): rows, columns, pixels."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ,
                struct.pack('4H', 24, columns, 0, 0))


def test_a_terminal_has_one_table_that_is_renewed(web, tree):
    web('start')
    address, = registered(tree)
    with terminal(web, '0.1', 80) as (process, _, read):
        said = read(lambda said: said.count(b'\x1b[H') >= 3)
        assert said.count(address.encode()) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    web('stop')


def test_a_terminal_that_becomes_wider_has_more_at_once(web, tree):
    web('start')
    registered(tree)
    with terminal(web, '3600', 40) as (_, ours, read):
        said = read(lambda said: said.endswith(b'\x1b[J'))
        lines = re.sub(r'\x1b\[.', '', said.decode()).splitlines()
        assert max(map(len, lines)) < 40
        assert re.search('(?m)^ADDRESS +STATE .*BUSY', '\n'.join(lines))
        resize(ours, 120)
        read(lambda said: b'UPTIME' in said)
    web('stop')


def test_without_a_monitor_server(local):
    web = local()
    web('start')
    assert web('top', '--once', status=1) == (
        "web: no monitor server found: there is no option 'monitor_server'\n")
    web('stop')
