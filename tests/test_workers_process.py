"""A worker's process and channel, at the parent's end."""
from __future__ import annotations

import signal
import sys
import time

import pytest
from zc.zk.testing.leaks import no_leaks
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver.sessionkeys import SessionKey
from zc.zkzopeserver.workers.process import Worker
from zc.zkzopeserver.workers.process import describe
from zc.zkzopeserver.workers.process import environment
from zc.zkzopeserver.workers.protocol import WorkerOptions

OPTIONS = WorkerOptions(2, 60, 30, 1)


@pytest.mark.parametrize('status, text', [
    (0, 'ended with status 0'), (3, 'ended with status 3'),
    (-9, 'was killed by SIGKILL'), (-99, 'was killed by signal 99')])
def test_how_it_ended(status, text):
    assert describe(status) == text


def test_environment():
    ours = {'PATH': '/bin', 'NOTIFY_SOCKET': '/s', 'WATCHDOG_PID': '1',
            'WATCHDOG_USEC': '5'}
    assert environment(ours, 7, None) == {
        'PATH': '/bin', 'ZC_ZKZOPESERVER_WORKER': '7'}
    assert environment(ours, 7, 2.5)['ZC_ZKZOPESERVER_WORKER'] == '7:2.5'


def speaking(words):
    """Start a worker that says `words`, and ends when it hears anything."""
    code = ('import os, socket\n'
            'fd = os.environ["ZC_ZKZOPESERVER_WORKER"]\n'
            'sock = socket.socket(fileno=int(fd))\n'
            f'sock.sendall({words!r})\n'
            'sock.recv(100)\n')
    return Worker([sys.executable, '-I', '-S', '-c', code], OPTIONS)


def heard(worker, count=1):
    """Return the news of a worker, once there are `count`."""
    news = []

    def listen():
        news.extend(worker.receive(time.monotonic()))
        return len(news) >= count
    wait_for(listen)
    return news


def ended(worker):
    worker.tell('end')
    wait_for(lambda: worker.status() is not None)
    worker.close()
    return worker.status()


def test_what_it_says():
    with no_leaks():
        worker = speaking(
            b'hello ' + WorkerOptions(3, 5, 7, 9).encode().encode() + b'\n'
            b'beat\nregistered [::1]:8080\nbeat\nregistered again\n'
            b'stopping\nstopping\n')
        assert worker.is_starting
        assert str(worker) == f'worker {worker.pid}'
        assert heard(worker, 3) == ['hello', 'registered', 'stopping']
        assert worker.options == WorkerOptions(3, 5, 7, 9)
        assert str(worker) == f'worker {worker.pid} at [::1]:8080'
        assert worker.is_stopping and not worker.stop_requested
        assert worker.beat_at is not None
        assert worker.kill_at > time.monotonic()
        assert ended(worker) == 0


def test_what_ends_its_session():
    key = SessionKey(8, 0x7b, b'secret', 'localhost:1')
    worker = speaking(f'session {key.encode()}\nregistered a:1\n'.encode())
    assert heard(worker) == ['registered']
    assert worker.session == key
    assert ended(worker) == 0
    worker = speaking(f'session {key.encode()}\nsession \n'
                      f'session nonsense\nregistered a:1\n'.encode())
    assert heard(worker) == ['registered']
    assert worker.session is None
    assert ended(worker) == 0


def test_its_troubles():
    hello = WorkerOptions(3, 5, 7, 9, 10).encode()
    worker = speaking(f'hello {hello}\nregistered a:1\n'
                      'trouble hung\n'.encode())
    assert heard(worker, 2) == ['hello', 'registered']
    wait_for(lambda: worker.receive(time.monotonic()) or worker.trouble)
    assert not worker.is_registered
    assert worker.end_at == worker.hung_at + 10
    worker.mark_stopping(0)
    assert worker.end_at is None
    assert ended(worker) == 0
    worker = speaking(b'registered a:1\ntrouble hung\ntrouble \n')
    assert heard(worker) == ['registered']
    wait_for(lambda: worker.receive(time.monotonic()) or not worker.trouble)
    assert worker.is_registered and worker.end_at is None
    assert ended(worker) == 0


def told(words, is_done):
    """Return whether a worker that says `words` is stuck in the end."""
    worker = speaking(b'registered a:1\n' + words)
    wait_for(lambda: worker.receive(time.monotonic()) or is_done(worker))
    is_stuck = worker.is_stuck
    assert ended(worker) == 0
    return is_stuck


def test_it_is_about_to_hang():
    assert told(b'hanging 1\n', lambda worker: worker.is_about_to_hang)
    # It is believed once, and again if it did hang.
    assert not told(b'hanging 1\nhanging 0\nhanging 1\nbeat\n',
                    lambda worker: worker.beat_at)
    assert told(b'hanging 1\ntrouble hung\nhanging 0\ntrouble \nhanging 1\n'
                b'beat\n', lambda worker: worker.beat_at)
    assert told(b'hanging 1\nhanging 0\nhanging 1\ntrouble hung\nbeat\n',
                lambda worker: worker.beat_at)


def test_what_is_none_of_its_words():
    worker = speaking(b'\n\0\xff\xfe\nhello\nhello {"workers": -1}\n'
                      b'unregistered x\nregistered \x1b[2J\n')
    assert heard(worker) == ['registered']
    assert worker.options == OPTIONS
    # Nothing for a terminal to obey gets into the log.
    assert str(worker) == f'worker {worker.pid}'
    assert worker.beat_at is None
    assert ended(worker) == 0


def test_end_of_its_channel():
    worker = speaking(b'')
    worker.stop(0, signal.SIGKILL)
    wait_for(lambda: worker.receive(5.0) or worker.channel_closed_at)
    assert worker.channel_closed_at == 5.0
    assert worker.receive(6.0) == []
    wait_for(lambda: worker.status() is not None)
    assert worker.status() == -signal.SIGKILL
    # Signals for a worker that has ended reach no other process.
    worker.kill()
    worker.stop(0)
    worker.close()


def test_command_that_is_not_there():
    with no_leaks(), pytest.raises(FileNotFoundError):
        Worker(['/no/such/program'], OPTIONS)
