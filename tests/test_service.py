"""A service whose stop comes while it is being registered."""
import os
import threading
import time

import pytest
import zc.zk
from kazoo.exceptions import ConnectionClosedError
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get
from zope_server_support.applications import hello

from zc.zkzopeserver import options
from zc.zkzopeserver.service import Service
from zc.zkzopeserver.sessionfile import SessionFile


def make_service(zookeeper, session_file=None, **settings):
    """Return a service, not started."""
    return Service(options.parse({
        'zookeeper': zookeeper.connection_string, 'path': PATH,
        'host': '127.0.0.1', **settings}, ''), hello,
        session_file=session_file)


@pytest.fixture
def session_file(tmp_path):
    """The session file of a service."""
    return SessionFile(str(tmp_path / 'web.session'))


def test_clients_that_saw_the_node_are_served_before_its_answer_is_here(
        zookeeper, tree, monkeypatch, caplog, session_file):
    caplog.set_level('INFO', 'zc.zkzopeserver.registration')
    answered, heard = threading.Event(), threading.Event()
    register = zc.zk.ZooKeeper.register

    def slow(*arguments, **properties):
        try:
            return register(*arguments, **properties)
        finally:
            answered.set()
            heard.wait(30)

    monkeypatch.setattr(zc.zk.ZooKeeper, 'register', slow)
    monkeypatch.setattr('zc.zkzopeserver.service.ANNOUNCER_S', 0.01)
    service = make_service(zookeeper, session_file, deregister_wait='60')
    service.start()
    assert answered.wait(30)
    address, = tree.get_children(PATH)
    assert os.path.exists(session_file.path)
    stop = threading.Thread(target=service.stop)
    stop.start()
    try:
        wait_for(lambda: not tree.get_children(PATH))
        for _ in range(100):
            assert get(address)[0] == 200
    finally:
        heard.set()
        service.force_exit()
        stop.join()
    wait_for(lambda: f'withdrew {PATH}/{address}' in caplog.text)
    # The session has ended, and needs no other process to end it.
    assert not os.path.exists(session_file.path)


def test_clients_that_saw_the_node_are_served_when_its_answer_is_lost(
        zookeeper, tree, monkeypatch, session_file):
    """The stop closes the session, and so ends the call that registers."""
    register = zc.zk.ZooKeeper.register

    def lost(zk, *arguments, **properties):
        register(zk, *arguments, **properties)
        wait_for(lambda: not zk.client.connected, 30)
        raise ConnectionClosedError

    monkeypatch.setattr(zc.zk.ZooKeeper, 'register', lost)
    service = make_service(zookeeper, session_file, deregister_wait='60')
    service.start()
    address, = wait_for(lambda: tree.get_children(PATH))
    assert os.path.exists(session_file.path)
    stop = threading.Thread(target=service.stop)
    stop.start()
    try:
        wait_for(lambda: not tree.get_children(PATH))
        for _ in range(100):
            assert get(address)[0] == 200
    finally:
        service.force_exit()
        stop.join()
    assert not os.path.exists(session_file.path)


def test_a_server_that_was_never_registered_stops_at_once(
        zookeeper, client, caplog):
    service = make_service(zookeeper, deregister_wait='60', wait='serve')
    service.start()
    # Before, ZooKeeper could still create the node.
    wait_for(lambda: 'there is no /fooservice/providers' in caplog.text)
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 30
