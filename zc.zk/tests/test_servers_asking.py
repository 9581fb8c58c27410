"""Servers that accept, refuse, or say nothing; all are asked at once."""
import socket
import time

import pytest
from zc.zk.servers import Answer
from zc.zk.servers import ask
from zc.zk.servers import asking


@pytest.fixture
def listener():
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield server.getsockname()


@pytest.fixture
def full():
    """The address of a socket whose queue is full: it drops connections."""
    with socket.create_server(('127.0.0.1', 0), backlog=0) as server:
        clients = []
        try:
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(server.getsockname())
                clients.append(client)
            yield server.getsockname()
        finally:
            for client in clients:
                client.close()


def refused():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()


def test_each_answers_for_itself(listener, full):
    began = time.monotonic()
    answers = ask({'a': listener, 'b': refused(), 'c': full, 'd': listener},
                  timeout=.5)
    assert answers == {'a': Answer.ACCEPTED, 'b': Answer.REFUSED,
                       'c': Answer.SILENT, 'd': Answer.ACCEPTED}
    assert time.monotonic() - began >= .5


def test_nobody_is_asked():
    assert ask({}) == {}


def test_ipv6():
    try:
        server = socket.create_server(('::1', 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip('no IPv6 here')
    with server:
        port = server.getsockname()[1]
        assert ask({'a': ('::1', port)}) == {'a': Answer.ACCEPTED}
    assert ask({'a': ('::1', port)}) == {'a': Answer.REFUSED}


def test_an_address_to_which_there_is_no_way_is_silent():
    # RFC 5737: broadcast is refused at once, TEST-NET-1 leads nowhere.
    assert ask({'a': ('255.255.255.255', 80)}, timeout=.2) == {
        'a': Answer.SILENT}


def test_a_connection_to_itself_is_no_answer():
    # connect(2) to the port that the socket itself is bound to succeeds.
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        sock.connect(sock.getsockname())
        assert asking._answer(sock, 0) is Answer.REFUSED


def test_more_than_may_be_open_at_once(listener, monkeypatch):
    monkeypatch.setattr(asking, 'MAX_OPEN', 3)
    answers = ask(dict.fromkeys(range(10), listener))
    assert answers == dict.fromkeys(range(10), Answer.ACCEPTED)


def test_without_descriptors_nothing_is_known(listener, monkeypatch):
    def no_socket(*args):
        raise OSError(24, 'Too many open files')

    monkeypatch.setattr(asking.socket, 'socket', no_socket)
    assert ask({'a': listener}) == {'a': Answer.SILENT}
