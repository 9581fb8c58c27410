"""Requests whose answers never come."""
import threading

import pytest
from kazoo.exceptions import ConnectionClosedError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import SessionExpiredError
from zc.zk.connection.requests import Requests
from zc.zk.testing.waiting import wait_for


@pytest.fixture
def kazoo(client):
    return client()


@pytest.fixture
def requests(kazoo):
    return Requests(kazoo)


def test_answers(zookeeper, kazoo, requests):
    assert requests.ask(kazoo.create_async, '/a', b'1') == '/a'
    assert requests.ask(kazoo.get_children_async, '/') == ['a']
    sent = [requests.send(kazoo.get_async, path) for path in ('/a', '/b')]
    assert sent[0].result()[0] == b'1'
    with pytest.raises(NoNodeError):
        sent[1].result()


def test_a_request_that_gets_lost_with_the_session(zookeeper, kazoo, requests):
    lost = requests.send(kazoo.handler.async_result)
    zookeeper.expire(kazoo)
    with pytest.raises(SessionExpiredError):
        lost.result()
    wait_for(lambda: kazoo.connected)
    assert requests.ask(kazoo.exists_async, '/')


def test_a_request_that_waits_for_the_connection(zookeeper_server, kazoo,
                                                 requests):
    zookeeper_server.stop()
    wait_for(lambda: not kazoo.connected)
    pending = requests.send(kazoo.exists_async, '/')
    zookeeper_server.start()
    try:
        assert pending.result()
    except SessionExpiredError:
        pass  # the session may have expired


def test_close_ends_waiting(zookeeper, kazoo, requests):
    lost = requests.send(kazoo.handler.async_result)
    threading.Timer(.05, requests.close).start()
    with pytest.raises(ConnectionClosedError):
        lost.result()
    assert not kazoo.state_listeners
