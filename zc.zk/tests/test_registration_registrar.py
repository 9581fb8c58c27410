"""Registrations through lost sessions, stopped servers and a close."""
import os
import threading
import time

import pytest
import zc.zk
from kazoo.client import KazooState
from kazoo.exceptions import ConnectionClosedError
from kazoo.security import READ_ACL_UNSAFE
from zc.zk.connection.requests import Requests
from zc.zk.registration.reconciler import Reconciler
from zc.zk.registration.record import Record
from zc.zk.registration.registrar import Registrar
from zc.zk.registration.registrar import request_interval_s
from zc.zk.taskthread import TaskThread
from zc.zk.testing.waiting import wait_for
from zc_zk_support.registrations import ADDRESS
from zc_zk_support.registrations import NODE
from zc_zk_support.registrations import PATH
from zc_zk_support.registrations import is_back
from zc_zk_support.registrations import note_states
from zc_zk_support.registrations import owner
from zc_zk_support.registrations import session


@pytest.fixture
def zk(zookeeper, connect, patient):
    return connect()


@pytest.mark.parametrize('timeout_s, interval_s', [
    (0.4, 0.1), (1, 0.25), (6, 0.5), (12, 1), (60, 1)])
def test_how_old_the_last_request_may_be(timeout_s, interval_s):
    assert request_interval_s(timeout_s) == pytest.approx(interval_s)


def test_an_idle_session_sends_requests(zookeeper, connect, monkeypatch):
    zk = connect()
    zk.register(PATH, ADDRESS)
    interval_s = request_interval_s(zk.session_timeout)
    looks = []
    put = TaskThread.put

    def noted(thread, task, delay=0.):
        if delay:
            # It counts requests, and not heartbeats.
            looks.append((delay, zk.client._connection._xid))
        return put(thread, task, delay)

    monkeypatch.setattr(TaskThread, 'put', noted)
    wait_for(lambda: len(looks) > 4)
    # Before the first one the event of our node may have come, too.
    delays, xids = zip(*looks[1:], strict=True)
    assert set(delays) == {interval_s}
    assert xids == tuple(range(xids[0], xids[0] + len(xids)))


@pytest.mark.parametrize('timeout_s, singles', [
    (1, 0), (2, 1), (5, 2), (10, 1), (60, 1)])
def test_one_registration_is_read_between_two_times_of_all(
        zookeeper, client, monkeypatch, timeout_s, singles):
    kazoo = client()
    kazoo.ensure_path(PATH)
    requests = Requests(kazoo)
    registrar = Registrar(kazoo, requests, timeout_s, lambda path: path)
    registrar._request_interval_s = .01
    names = ['a:1', 'b:1', 'c:1']
    for name in names:
        registrar.register(Record(PATH, PATH, [name], b'{}',
                                  READ_ACL_UNSAFE))
    looks = []
    look, reconcile = registrar._look, registrar._reconcile

    def noted_look():
        looks.append([])
        look()

    def noted_reconcile(record, *future):
        if looks:
            looks[-1] += record.data
        reconcile(record, *future)

    monkeypatch.setattr(registrar, '_look', noted_look)
    monkeypatch.setattr(registrar, '_reconcile', noted_reconcile)
    wait_for(lambda: len(looks) > 40)
    registrar.close()
    registrar.join()
    requests.close()
    # The last one may have been cut short.
    looks = looks[-1 - (singles + 1) * len(names):-1]
    assert looks.count(names) == len(names)
    for name in names:
        assert looks.count([name]) == singles


def test_session_expired(zookeeper, no_leaks, zk, client, caplog):
    witness = client()
    registration = zk.register(PATH, ADDRESS, a=1)
    before = session(zk)
    connected = []
    zk.client.add_listener(
        lambda state: state == KazooState.CONNECTED
        and connected.append(time.monotonic()))
    zookeeper.expire(zk.client)
    wait_for(lambda: witness.exists(NODE), interval=.001)
    assert time.monotonic() - connected[0] < 8
    wait_for(lambda: is_back(registration))
    assert owner(zk) == session(zk) != before
    assert zk.get_properties(NODE) == {'a': 1, 'pid': os.getpid()}
    assert f'Registered again: {NODE}' in caplog.text


def test_parent_missing(zk, client, caplog, monkeypatch):
    other, attempts = client(), []
    reconcile = Reconciler.reconcile
    monkeypatch.setattr(Reconciler, 'reconcile', lambda self, record: (
        attempts.append(record), reconcile(self, record))[1])
    registration = zk.register(PATH, ADDRESS)
    attempts.clear()
    # In one transaction, else the node is back in between.
    transaction = other.transaction()
    transaction.delete(NODE)
    transaction.delete(PATH)
    transaction.commit()
    wait_for(lambda: registration.last_error)
    assert registration.last_error == f'NoNodeError: {PATH}'
    assert registration.state == 'lost'
    wait_for(lambda: f'{NODE} not registered: NoNodeError: {PATH}; trying '
                     'again' in caplog.text)
    wait_for(lambda: len(attempts) > 3)
    other.create(PATH)
    wait_for(lambda: registration.state == 'registered')
    assert caplog.text.count('trying again') == 1


def test_parent_moved_behind_a_link(zk, client):
    other = client()
    registration = zk.register(PATH, ADDRESS)
    other.create('/moved')
    transaction = other.transaction()
    transaction.set_data('/service', b'{"providers ->": "/moved"}')
    transaction.delete(NODE)
    transaction.delete(PATH)
    transaction.commit()
    wait_for(lambda: registration.paths == ('/moved/192.0.2.7:8080',)
             and registration.state == 'registered')
    assert other.get_children('/moved') == ['192.0.2.7:8080']


def test_withdrawn_registrations_are_forgotten(registrar, record):
    registrar.register(record)
    assert registrar.records == (record,)
    for _ in range(3):
        record.wanted = False
        assert registrar.request(record, 30)
        wait_for(lambda: not registrar.records)
        record.wanted = True
        assert registrar.request(record, 30)
        assert registrar.records == (record,)


def test_a_client_that_the_caller_has_made(zookeeper, client, no_leaks):
    kazoo = client()
    kazoo.ensure_path(PATH)
    zk = zc.zk.ZooKeeper(kazoo)
    registration = zk.register(PATH, ADDRESS)
    kazoo.delete(NODE)
    wait_for(lambda: registration.reregistered == 1)
    zk.close()
    assert kazoo.connected
    assert not kazoo.exists(NODE)
    assert not kazoo.state_listeners


def test_close_ends_a_register_that_waits(
        zookeeper, no_leaks, connect, monkeypatch):
    zk = connect()
    raised, threads = [], []
    put = TaskThread.put

    def noted(thread, task, delay=0.):
        is_put = put(thread, task, delay)
        if not delay:
            threads.append(thread)
        return is_put

    def register(address):
        try:
            zk.register(PATH, address)
        except ConnectionClosedError as error:
            raised.append(error)

    monkeypatch.setattr(TaskThread, 'put', noted)
    monkeypatch.setattr(
        Reconciler, 'reconcile', lambda self, record: wait_for(
            lambda: any(thread.closed for thread in threads)))
    callers = [threading.Thread(target=register, args=[address])
               for address in ('a:1', 'b:1')]
    for caller in callers:
        caller.start()
    wait_for(lambda: len(threads) == 2)
    zk.close()
    for caller in callers:
        caller.join()
    assert len(raised) == 2


# Servers that are away


def test_server_stopped_longer_than_the_session(zookeeper_server, connect,
                                                client):
    zk = connect(1., wait=True)
    registration = zk.register(PATH, ADDRESS, a=1)
    states = note_states(zk.client)
    zookeeper_server.stop()
    wait_for(lambda: KazooState.SUSPENDED in states)
    wait_for(lambda: registration.state == 'lost')
    zookeeper_server.start()
    answering = time.monotonic()
    wait_for(lambda: registration.state == 'registered')
    assert time.monotonic() - answering < 8
    assert client().get_children(PATH) == ['192.0.2.7:8080']
    assert zk.get_properties(NODE)['a'] == 1


def test_server_killed_and_started(zookeeper_server, connect, client):
    zk = connect(5.)
    registration = zk.register(PATH, ADDRESS)
    zookeeper_server.kill()
    wait_for(lambda: registration.state == 'suspended')
    zookeeper_server.start()
    wait_for(lambda: registration.state == 'registered')
    assert owner(zk) == session(zk)
    # Whether the session survived or not, it is watched again:
    client().delete(NODE)
    wait_for(lambda: owner(zk) == session(zk))


def test_server_paused_longer_than_the_session(zookeeper_server, connect):
    zk = connect(1., wait=True)
    registration = zk.register(PATH, ADDRESS)
    zookeeper_server.pause()
    wait_for(lambda: registration.state == 'lost')
    started = time.monotonic()
    assert not registration.update(a=1)
    assert not registration.withdraw(.2)
    assert not registration.restore(.2)
    assert time.monotonic() - started < 8
    zookeeper_server.resume()
    wait_for(lambda: registration.state == 'registered')
    wait_for(lambda: zk.get_properties(NODE).get('a') == 1)
    assert owner(zk) == session(zk)


def test_withdrawn_while_the_server_is_paused(zookeeper_server, connect,
                                              client):
    zk = connect(5.)
    registration = zk.register(PATH, ADDRESS)
    zookeeper_server.pause()
    started = time.monotonic()
    assert not registration.withdraw(.2)
    assert time.monotonic() - started < 8
    assert registration.state == 'withdrawn'
    zookeeper_server.resume()
    witness = client()
    wait_for(lambda: not witness.exists(NODE))


def test_close_while_the_server_is_paused(zookeeper_server, connect):
    zk = connect(5.)
    registration = zk.register(PATH, ADDRESS)
    zookeeper_server.pause()
    registration.withdraw(.1)
    started = time.monotonic()
    zk.close()
    assert time.monotonic() - started < 8
    assert not [thread for thread in threading.enumerate()
                if thread.name.startswith('zc.zk')]


def test_leader_killed(ensemble, connect):
    zk = connect(10.)
    registration = zk.register(PATH, ADDRESS)
    ensemble.kill_leader()
    wait_for(lambda: zk.client.connected
             and registration.state == 'registered', 30)
    # The new leader may close connections that came too early.
    retry = zk.client.retry
    assert retry(zk.get_children, PATH) == ['192.0.2.7:8080']
    assert retry(owner, zk) == session(zk)
    assert registration.reregistered == 0
