"""The receiver's states: head, waiting, body, complete."""
from __future__ import annotations

import pytest
from zope.server.body import LengthBody
from zope.server.body import MustWait
from zope.server.body import PreallocatedBody
from zope.server.errors import HTTPError
from zope.server.receiver import Receiver
from zope.server.request import Request
from zope.server.settings import Settings
from zope.server.shared import SharedState
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post

SIZE = 100_000
LENGTH = b'Content-Length: %d\r\n' % SIZE


@pytest.fixture
def shared() -> SharedState:
    return SharedState(lambda *args: [], ('host', 80), Settings())


@pytest.fixture
def receiver(shared: SharedState) -> Receiver[Request]:
    return Receiver(shared, shared.environ, Request)


def test_without_a_request_none_can_be_taken(
        receiver: Receiver[Request]) -> None:
    with pytest.raises(RuntimeError, match='no request is complete'):
        receiver.take()
    assert receiver.feed(get())
    receiver.take()
    with pytest.raises(RuntimeError, match='no request is complete'):
        receiver.take()


def test_a_next_request_stays(receiver: Receiver[Request]) -> None:
    assert receiver.feed(get(target=b'/1') + get(target=b'/2'))
    assert receiver.take().target == '/1'
    assert receiver.has_begun()
    assert receiver.feed(b'')
    assert receiver.take().target == '/2'
    assert not receiver.has_begun()


def test_a_large_body_is_put_into_its_buffer(
        shared: SharedState, receiver: Receiver[Request]) -> None:
    assert not receiver.feed(post(LENGTH, b'abc'))
    block = receiver.block
    assert block is not None
    assert block.missing == SIZE - 3
    block.space()[:] = b'x' * block.missing
    assert receiver.fill(block, block.missing)
    assert receiver.block is None
    request = receiver.take()
    assert request.environ['wsgi.input'].read() == b'abc' + b'x' * (SIZE - 3)
    assert request.store is not None
    assert shared.buffer_pool.used
    request.store.close()
    assert not shared.buffer_pool.used


@pytest.mark.parametrize('is_in_memory', [True, False])
def test_a_body_waits_behind_bodies_of_other_connections(
        is_in_memory: bool, shared: SharedState) -> None:
    waiting = [object()]
    receiver = Receiver(shared, shared.environ, Request, waiting)
    expecting = LENGTH + b'Expect: 100-continue\r\n'
    with pytest.raises(MustWait) as caught:
        receiver.feed(post(expecting))
    assert receiver.has_begun()
    assert receiver.overdue(shared.now + 1000) is None
    pending = caught.value.body
    assert pending.rest == b''
    body = pending.place()
    assert isinstance(body, PreallocatedBody)
    if not is_in_memory:
        body.close()
        # As when there was no memory for too long.
        shared.buffer_pool.account(shared.buffer_pool.limit)
        shared.buffer_pool.last_release -= 1000
        body = pending.place()
        assert isinstance(body, LengthBody)
    receiver.begin_body(body)
    assert receiver.must_continue
    assert (receiver.block is body) == is_in_memory
    assert receiver.overdue(shared.now + 1000).status == 408
    if is_in_memory:
        body.space()[:] = b'x' * SIZE
        assert receiver.fill(body, SIZE)
    else:
        assert receiver.feed(b'x' * SIZE + b'rest')
        assert receiver.has_begun()
    request = receiver.take()
    assert request.environ['wsgi.input'].read() == b'x' * SIZE
    request.store.close()


def test_the_rest_of_a_head_is_the_beginning_of_a_body_that_waits(
        shared: SharedState) -> None:
    receiver = Receiver(shared, shared.environ, Request, [object()])
    with pytest.raises(MustWait) as caught:
        receiver.feed(post(LENGTH, b'abc'))
    pending = caught.value.body
    receiver.begin_body(pending.place())
    assert not receiver.feed(pending.rest)
    assert receiver.block.missing == SIZE - 3
    receiver.close()
    assert not shared.buffer_pool.used


@pytest.mark.parametrize('data', [
    get()[:-2], post(LENGTH, b'abc'), post(b'Content-Length: 5\r\n', b'abc'),
    post(b'Content-Length: 5\r\n', b'hello'), post(
        b'Transfer-Encoding: chunked\r\n', b'5\r\nhel')])
def test_close_frees_all_in_any_state(
        data: bytes, shared: SharedState,
        receiver: Receiver[Request]) -> None:
    receiver.feed(data)
    for _ in range(2):
        receiver.close()
        assert not receiver.has_begun()
        assert not shared.buffer_pool.used


def test_a_body_that_is_too_large_ends_in_an_error(
        shared: SharedState) -> None:
    small = SharedState(
        shared.application, ('host', 80), Settings(max_request_body_size=5))
    receiver = Receiver(small, small.environ, Request)
    with pytest.raises(HTTPError) as caught:
        receiver.feed(post(b'Transfer-Encoding: chunked\r\n',
                           b'6\r\nhello!\r\n0\r\n\r\n'))
    assert caught.value.status == 413
    receiver.close()
    assert not small.buffer_pool.used
