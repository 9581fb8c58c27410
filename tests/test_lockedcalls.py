"""Calls of the system that keep Python's lock do what Python's own do."""
from __future__ import annotations

import os
import socket
import sys
import threading
import time

import pytest
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver import lockedcalls


@pytest.fixture(params=['locked', "Python's own"])
def calls(request, monkeypatch):
    """The calls, in both their ways."""
    if request.param == "Python's own":
        monkeypatch.setattr(lockedcalls, 'LIBRARY', None)
    elif lockedcalls.LIBRARY is None:
        pytest.skip('not Linux')
    return lockedcalls


@pytest.mark.skipif(sys.platform != 'linux', reason='not Linux')
def test_linux_has_them():
    assert lockedcalls.LIBRARY is not None


@pytest.mark.skipif(lockedcalls.ctypes is None, reason='no ctypes')
def test_an_interpreter_that_loads_no_libraries(monkeypatch):
    def load(*args, **options):
        raise OSError('Dynamic loading not supported')

    monkeypatch.setattr(lockedcalls.ctypes, 'PyDLL', load)
    assert lockedcalls.library() is None


def test_a_conversation(calls):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            calls.accept(listener)
        with socket.create_connection(listener.getsockname()) as client:
            sock = wait_for(lambda: accepted(listener))
            with sock:
                assert sock.getpeername() == client.getsockname()
                assert not os.get_inheritable(sock.fileno())
                with pytest.raises(BlockingIOError):
                    calls.receive(sock, 10)
                client.sendall(b'ab\0c')
                wait_for(lambda: received(sock, 3) == b'ab\0')
                assert calls.receive(sock, 10) == b'c'
                assert calls.send(sock, b'de\0f') == 4
                assert client.recv(10) == b'de\0f'
                # What cannot be sent without waiting.
                sent, data = 0, bytes(2 ** 20)
                with pytest.raises(BlockingIOError):
                    while True:
                        sent += calls.send(sock, data)
                calls.end(sock)
                assert len(client.makefile('rb').read()) == sent
                client.close()
                assert calls.receive(sock, 10) == b''
        with socket.create_connection(listener.getsockname()) as client:
            with wait_for(lambda: accepted(listener)) as sock:
                sock.close()
                with pytest.raises(OSError, match='Bad file descriptor'):
                    calls.receive(sock, 10)


def accepted(listener):
    """Return the connection that has come; None while none has."""
    try:
        return lockedcalls.accept(listener)
    except BlockingIOError:
        return None


def received(sock, size):
    """Return what has come; None while nothing has."""
    try:
        return lockedcalls.receive(sock, size)
    except BlockingIOError:
        return None


def test_a_default_for_sockets_makes_no_call_wait(calls):
    socket.setdefaulttimeout(60)
    try:
        with socket.create_server(('127.0.0.1', 0)) as listener:
            listener.setblocking(False)
            with socket.create_connection(listener.getsockname()):
                with wait_for(lambda: accepted(listener)) as sock:
                    with pytest.raises(BlockingIOError):
                        calls.receive(sock, 10)
    finally:
        socket.setdefaulttimeout(None)


def test_files(calls, tmp_path):
    path = tmp_path / 'f\xe4'
    path.write_bytes(b'0123456789' * 1000)
    assert calls.size_of(str(path)) == 10_000
    with pytest.raises(FileNotFoundError):
        calls.size_of(str(tmp_path / 'none'))
    with path.open('rb') as file:
        for _ in range(2):
            assert calls.read_start(file.fileno(), 12) == b'012345678901'
        assert file.tell() == 0
        number = file.fileno()
    with pytest.raises(OSError, match='Bad file descriptor'):
        calls.read_start(number, 12)


@pytest.mark.skipif(lockedcalls.LIBRARY is None, reason='not Linux')
def test_the_lock_is_kept(tmp_path):
    """Another thread, which waits for its turn, has none meanwhile."""
    turns = 0
    is_over = False
    path = tmp_path / 'file'
    path.write_bytes(b'x')

    def take_turns():
        nonlocal turns
        while not is_over:
            turns += 1
            # It gives the lock away by itself.
            time.sleep(0)

    thread = threading.Thread(target=take_turns)
    thread.start()
    usual_s = sys.getswitchinterval()
    # Nobody asks for it: a turn comes when it is given away.
    sys.setswitchinterval(60)
    try:
        # It waits as the new interval says.
        began = turns
        wait_for(lambda: turns > began + 1)
        with path.open('rb') as file:
            before = turns
            for _ in range(10_000):
                lockedcalls.read_start(file.fileno(), 1)
                lockedcalls.size_of(str(path))
            assert turns == before
            while turns == before:
                os.pread(file.fileno(), 1, 0)
    finally:
        is_over = True
        sys.setswitchinterval(usual_s)
        thread.join()
