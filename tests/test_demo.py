"""``bin/demo`` on a terminal, and its keys."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
import urllib.request

import psutil
import pytest

SCRIPT = '''\
#!{python}
import sys
from zc.zkzopeserver.start import main
sys.exit(main({ini!r}, {name!r}))
'''

INI = '''\
[app:main]
use = call:zc.zkzopeserver.hello:make_hello

[server:main]
use = egg:zc.zkzopeserver
zookeeper = 127.0.0.1:1
path = /demo/{name}/providers
host = 127.0.0.1
deregister_wait = 0.1
'''


class Terminal:
    """The demo on a terminal: what it says, and keys for it."""

    def __init__(self, folder):
        scripts = {}
        for name in 'web', 'api':
            ini = folder / f'{name}.ini'
            ini.write_text(INI.format(name=name))
            script = folder / name
            script.write_text(SCRIPT.format(
                python=sys.executable, ini=str(ini), name=name))
            script.chmod(0o755)
            scripts[name] = str(script)
        self.fd, theirs = pty.openpty()
        self.popen = subprocess.Popen(
            [sys.executable, '-c', 'import sys;'
             ' from zc.zkzopeserver.demo import main;'
             f' sys.exit(main({scripts!r}, []))'],
            stdin=theirs, stdout=theirs, stderr=theirs,
            preexec_fn=take_terminal,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(
                filter(None, sys.path))})
        os.close(theirs)
        self.said = ''

    def wait(self, pattern):
        """Wait until the demo says something new; return the match."""
        deadline = time.monotonic() + 60
        while not (match := re.search(pattern, self.said)):
            assert time.monotonic() < deadline, (pattern, self.said)
            if select.select([self.fd], [], [], 0.2)[0]:
                # EIO, once the demo has ended.
                with contextlib.suppress(OSError):
                    self.said += os.read(self.fd, 65536).decode()
        self.said = self.said[match.end():]
        return match

    def press(self, key):
        """Press a key."""
        os.write(self.fd, key.encode())

    def close(self):
        """End it, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(60)
        os.close(self.fd)


@pytest.fixture
def demo(tmp_path):
    """The demo, once it waits for a key."""
    made = Terminal(tmp_path)
    try:
        yield made
    finally:
        made.close()


def take_terminal():
    """Make standard input the terminal that controls this process."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


CLIENT = r'a client sent (\d+) requests meanwhile, (\d+) failed'


def test_the_keys(demo):
    url = demo.wait(r'in a browser: (http://127\.0\.0\.1:\d+/)')[1]
    assert '<h1>The demo: /demo</h1>' in urllib.request.urlopen(
        url).read().decode()
    demo.wait('q  stop everything')

    demo.press('k')
    demo.wait(r'worker (\d+), at 127\.0\.0\.1:\d+, is killed')
    demo.wait(r'its node was gone after [\d.]+ s')
    demo.wait('another one, registered after')
    assert demo.wait(CLIENT)[2] == '0'

    demo.press('r')
    demo.wait(r'all are replaced after [\d.]+ s')
    assert demo.wait(CLIENT)[2] == '0'

    demo.press('s')
    demo.wait(r'one more is at 127\.0\.0\.1:\d+')
    demo.press('s')
    demo.wait('it has stopped')
    assert demo.wait(CLIENT + r'[^\n]*\n')[2] == '0'

    demo.press('c')
    demo.wait('web is cut off from ZooKeeper for 8 s; it serves on')
    demo.wait('its session has ended, its nodes were gone after')
    demo.wait('connected again, and registered after')
    assert demo.wait(CLIENT)[2] == '0'

    demo.press('x')
    demo.wait('q  stop everything')
    demo.press('q')
    demo.wait('all servers stopped, and their nodes are gone')
    assert demo.popen.wait(30) == 0


def test_ctrl_c_stops_everything(demo):
    demo.wait('q  stop everything')
    demo.press('\x03')
    demo.wait('all servers stopped, and their nodes are gone')
    assert demo.popen.wait(30) == 0


def test_a_demo_that_is_killed_leaves_no_servers(demo):
    pids = [int(demo.wait(r'pid = (\d+)')[1]) for _ in range(3)]
    demo.wait('q  stop everything')
    servers = [psutil.Process(pid) for pid in pids]
    demo.popen.kill()
    _, alive = psutil.wait_procs(servers, 60)
    assert not alive
