"""The buffer pool of request bodies: counting, reuse, freeing."""
from __future__ import annotations

import io
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.server import buffers
from zope.server import loop
from zope.server.body import PreallocatedBody
from zope.server.body import SpooledBody
from zope.server.buffers import BufferPool
from zope.server.buffers import BufferReader
from zope.server.settings import Settings
from zope_server_support.applications import PLAIN
from zope_server_support.corpus.case import post
from zope_server_support.talking import Client
from zope_server_support.talking import serving
from zope_server_support.talking import until

KiB = 2 ** 10


def test_a_buffer_is_used_again_by_bodies_of_about_its_size() -> None:
    pool = BufferPool(1000 * KiB)
    block = pool.acquire(100 * KiB)
    assert len(block) == pool.used == 128 * KiB
    pool.release(block)
    assert (pool.used, pool.spare) == (0, 128 * KiB)
    assert pool.acquire(128 * KiB) is block
    assert pool.acquire(128 * KiB) is not block
    assert pool.acquire(64 * KiB) is not block
    assert (pool.used, pool.spare) == (320 * KiB, 0)


def test_there_is_room_until_the_limit() -> None:
    pool = BufferPool(100)
    pool.account(60)
    assert pool.acquire(33) is None  # It would take 64 bytes.
    assert len(pool.acquire(30)) == 32
    assert not pool.is_full
    pool.account(10)
    assert pool.is_full
    pool.account(-70)
    assert pool.used == 32
    assert pool.acquire(69) is None
    # No power of two fits, but the length does.
    assert len(pool.acquire(65)) == 65
    assert pool.acquire(101) is None


def test_memory_that_the_machine_has_not_is_not_counted() -> None:
    pool = BufferPool(2 ** 62)
    assert pool.acquire(2 ** 60) is None
    assert pool.used == 0


def test_buffers_that_come_and_go_are_worth_waiting_for(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, 'SIDE_BY_SIDE_BYTES', 128)
    found = BufferPool(1000)
    now = time.monotonic()
    assert not found.should_wait(200, now)
    blocks = [found.acquire(64) for _ in range(2)]
    # A third is too much side by side; other sizes were never in use.
    assert found.should_wait(64, now)
    assert not found.should_wait(16, now)
    # A minute later no buffer is about to be released.
    assert not found.should_wait(64, now + 60)
    found.release(blocks.pop())
    # A buffer is free.
    assert not found.should_wait(64, now)
    assert found.acquire(64) is not None


def test_sizes_that_were_used_once_are_forgotten() -> None:
    found = BufferPool(1000)
    for length in range(520, 600):
        found.release(found.acquire(length))
        for _ in range(2):
            found.trim()
    assert not found.free_lists
    assert found.used == found.spare == 0


def test_no_more_is_kept_than_bodies_may_take() -> None:
    pool = BufferPool(100 * KiB)
    for size in 64, 32:
        pool.release(pool.acquire(size * KiB))
    assert (pool.used, pool.spare) == (0, 96 * KiB)
    # Free buffers of other sizes make room.
    block = pool.acquire(16 * KiB)
    assert (pool.used, pool.spare) == (16 * KiB, 32 * KiB)
    pool.release(block)
    assert (pool.used, pool.spare) == (0, 48 * KiB)


def test_buffers_that_are_not_used_are_freed() -> None:
    pool = BufferPool(1000 * KiB)
    blocks = [pool.acquire(64 * KiB) for _ in range(4)]
    for block in blocks:
        pool.release(block)
    pool.trim()
    assert pool.spare == 4 * 64 * KiB
    for _ in range(10):  # One buffer is enough for these.
        pool.release(pool.acquire(64 * KiB))
    pool.trim()
    assert pool.spare == 64 * KiB
    pool.trim()
    pool.trim()
    assert pool.spare == 0


def test_a_body_takes_what_is_counted_whatever_its_pieces() -> None:
    pool = BufferPool(2 ** 20)
    store = SpooledBody(Settings(), pool)
    tracemalloc.start()
    try:
        for _ in range(50_000):
            store.write(b'ab')
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pool.used == 100_000
    assert taken < 200_000
    assert store.stream().read() == b'ab' * 50_000
    store.close()
    assert pool.used == 0


@pytest.mark.parametrize('size', [1000, 65_536, 65_537, 200_000])
def test_a_file_has_all_of_it(size: int) -> None:
    store = SpooledBody(Settings(body_spool_size=500), BufferPool(2 ** 20))
    content = bytes(number % 251 for number in range(size))
    for begin in range(0, size, 777):
        store.write(content[begin:begin + 777])
    assert store.is_in_file
    assert store.stream().read() == content
    store.close()


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_body_reads_as_any_file(content: bytes, data: Any) -> None:
    pool = BufferPool(2 ** 20)
    # Earlier content of the buffer must not show.
    before = pool.acquire(len(content))
    before[:] = b'\n' * len(before)
    pool.release(before)
    block = PreallocatedBody(len(content), pool, pool.acquire(len(content)))
    while block.missing:
        piece = content[block.size:block.size + 7]
        block.space()[:len(piece)] = piece
        block.fill(len(piece))
    found, model = block.stream(), io.BytesIO(content)
    sizes = st.one_of(st.none(), st.integers(-1, 60))
    for _ in range(data.draw(st.integers(1, 8))):
        name, *arguments = data.draw(st.one_of(
            st.tuples(st.sampled_from(['read', 'readline']), sizes),
            st.tuples(st.just('seek'), st.integers(0, 60),
                      st.sampled_from([0])),
            st.tuples(st.just('seek'), st.just(0), st.sampled_from([1, 2])),
            st.sampled_from([('readlines',), ('tell',), ('__next__',)])))
        assert outcome(found, name, arguments) == outcome(
            model, name, arguments)
    block.close()


def outcome(file: Any, name: str, arguments: list[Any]) -> Any:
    """Return what a method returns, or the class of what it raises."""
    try:
        return getattr(file, name)(*arguments)
    except (StopIteration, ValueError) as error:
        return type(error)


def test_there_is_nothing_before_the_beginning() -> None:
    reader = BufferReader(memoryview(b'hello'))
    with pytest.raises(ValueError, match='negative seek position -1'):
        reader.seek(-6, io.SEEK_END)


@pytest.mark.parametrize('read', [
    lambda file: file.read(), lambda file: file.readline(),
    lambda file: file.raw.read(3), lambda file: file.raw.readall(),
    lambda file: file.raw.readinto(bytearray(3))])
def test_a_closed_body_shows_nothing_of_the_next(read: Any) -> None:
    pool = BufferPool(2 ** 20)
    block = PreallocatedBody(5, pool, pool.acquire(5))
    block.space()[:] = b'first'
    block.fill(5)
    kept = block.stream()
    assert kept.read(1) == b'f'
    block.close()
    pool.acquire(5)[:] = b'another!'
    with pytest.raises(ValueError):
        read(kept)
    block.close()
    assert pool.used == 8


def test_uploads_share_a_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    # A sweep frees spare buffers.
    monkeypatch.setattr(loop, 'SWEEP_S', 60)
    kept = []

    def application(environ, start_response):
        kept.append(environ['wsgi.input'])
        start_response('200 OK', PLAIN)
        return [environ['wsgi.input'].read()[-6:]]

    with serving(application) as server, Client(server.address) as client:
        pool = server.engine.shared.buffer_pool
        for size in 100_000, 90_000, 110_000:
            body = b'a' * (size - 6) + b'%06d' % size
            client.send(post(b'Content-Length: %d\r\n' % size, body))
            assert client.response().body == b'%06d' % size
            until(lambda: (pool.used, pool.spare) == (0, 128 * KiB))
        for file in kept:
            with pytest.raises(ValueError):
                file.read()
        server.call(pool.trim)
        server.call(pool.trim)
        until(lambda: not pool.spare)
