"""The send buffer: what it sends, keeps and drops, in memory and on disk."""
from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zope.server import output
from zope.server.errors import Disconnected
from zope.server.files import FileWrapper
from zope.server.output import SendBuffer
from zope.server.settings import Settings
from zope_server_support.talking import until

HEAD = b'h' * 50
DATA = bytes(number % 251 for number in range(400_000))


class Pair:
    """A send buffer, and the client that it sends to."""

    def __init__(self, sock: socket.socket, client: socket.socket,
                 settings: Settings) -> None:
        self.sock = sock
        self.client = client
        self.buffer = SendBuffer(sock, settings)

    def read(self, count: int) -> bytes:
        """Read `count` bytes, and send on what is pending meanwhile."""
        data = b''
        while len(data) < count:
            self.buffer.flush()
            data += self.client.recv(min(65536, count - len(data)))
        return data


@contextlib.contextmanager
def pair(**settings: Any) -> Iterator[Pair]:
    """Yield a pair whose socket soon takes no more."""
    sock, client = socket.socketpair()
    with sock, client:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        client.settimeout(20)
        found = Pair(sock, client, Settings(**settings))
        try:
            yield found
        finally:
            found.buffer.abort()


@pytest.mark.parametrize('spool', [1, 2 ** 20])
@pytest.mark.parametrize('before', [b'', DATA])
@pytest.mark.parametrize('data', [b'short', DATA])
def test_two_pieces_are_sent_in_order(
        before: bytes, data: bytes, spool: int) -> None:
    with pair(output_buffer_size=1000, output_spool_size=spool) as found:
        if before:
            found.buffer.send(before)
        found.buffer.send_pair(HEAD, data)
        whole = before + HEAD + data
        assert bool(found.buffer.pending) == (len(whole) > 1000)
        assert found.read(len(whole)) == whole
        assert not found.buffer.flush()
        assert not found.buffer.pending


def test_nothing_is_sent_to_a_client_that_is_gone() -> None:
    for method, arguments in (
            ('send', [DATA]), ('send_pair', [HEAD, DATA])):
        with pair() as found:
            found.client.close()
            with pytest.raises(Disconnected):
                getattr(found.buffer, method)(*arguments)
            assert found.buffer.is_broken
            with pytest.raises(Disconnected, match='the client is gone'):
                found.buffer.send(HEAD)


def test_a_client_that_goes_later_leaves_nothing() -> None:
    with pair() as found:
        found.buffer.send(DATA)
        assert found.buffer.pending
        found.client.close()
        assert not found.buffer.flush()
        assert found.buffer.is_broken
        assert not found.buffer.pending


@pytest.mark.parametrize('has_sendfile', [True, False])
def test_a_file_that_becomes_shorter_ends_the_connection(
        has_sendfile: bool, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_sendfile:
        monkeypatch.delattr(os, 'sendfile')
    path = tmp_path / 'file'
    path.write_bytes(DATA)
    with pair() as found, path.open('rb') as file:
        found.buffer.send_file(file, 10, len(DATA) - 10)
        assert found.buffer.pending
        assert found.read(100_000) == DATA[10:100_010]
        os.truncate(path, 200_000)
        until(lambda: found.client.recv(65536)
              and not found.buffer.flush() and found.buffer.is_broken)


def test_what_no_disk_takes_stays_in_memory(
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    def full(**options: Any) -> None:
        raise OSError('the disk is full')

    monkeypatch.setattr(tempfile, 'TemporaryFile', full)
    with pair(output_buffer_size=1000) as found:
        found.buffer.send(DATA)
        assert 'memory keeps it: the disk is full' in caplog.text
        assert found.read(len(DATA)) == DATA


def test_a_spool_that_cannot_be_written_is_closed(
        monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError('the disk is full')

    monkeypatch.setattr(os, 'pwrite', full)
    with pair(output_buffer_size=1000) as found:
        found.buffer.send(DATA)
        assert found.read(len(DATA)) == DATA


def test_pieces_share_a_spool() -> None:
    with pair(output_buffer_size=1000) as found:
        for begin in range(0, len(DATA), 50_000):
            found.buffer.send(DATA[begin:begin + 50_000])
        # The first is what the socket has left of its piece.
        assert len(found.buffer.pending) == 1
        assert found.read(len(DATA)) == DATA


def test_a_thread_waits_until_the_client_has_read() -> None:
    with pair(output_buffer_size=1000, output_spool_size=1000) as found:
        found.buffer.send(DATA)
        done = threading.Event()

        def wait() -> None:
            found.buffer.wait()
            done.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert found.read(len(DATA)) == DATA
        assert done.wait(20)
        thread.join()


def test_a_thread_does_not_wait_for_a_client_that_reads_nothing(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, 'LOOK_S', 0.01)
    with pair(output_buffer_size=1000, output_spool_size=1000,
              send_timeout=0.1) as found:
        found.buffer.send(DATA)
        with pytest.raises(Disconnected):
            found.buffer.wait()
        assert not found.buffer.pending


def test_without_the_kernels_count_what_is_sent_counts(
        monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: Any) -> None:
        raise OSError('no such ioctl')

    monkeypatch.setattr(fcntl, 'ioctl', unknown)
    with pair() as found:
        found.buffer.send(DATA)
        assert found.buffer.acknowledged() == found.buffer.sent


def test_only_what_open_makes_is_a_plain_file(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_bytes(DATA)
    with path.open('rb') as file:
        file.seek(10)
        assert FileWrapper(file).stretch() == (10, len(DATA) - 10)
        file.seek(2 * len(DATA))
        assert FileWrapper(file).stretch() == (2 * len(DATA), 0)
    # Closed, no file, and none of a known length.
    assert FileWrapper(file).stretch() is None
    assert FileWrapper(object()).stretch() is None
    with open('/dev/zero', 'rb') as device:
        assert FileWrapper(device).stretch() is None
