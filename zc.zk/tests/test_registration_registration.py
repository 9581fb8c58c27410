"""Registrations as the application uses them: make, change, withdraw."""
import os
import threading
import time

import pytest
import zc.zk
from kazoo.exceptions import KazooException
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.security import ACL
from kazoo.security import ANYONE_ID_UNSAFE
from kazoo.security import READ_ACL_UNSAFE
from kazoo.security import Permissions
from zc.zk.testing.waiting import wait_for
from zc_zk_support.registrations import ADDRESS
from zc_zk_support.registrations import NODE
from zc_zk_support.registrations import PATH
from zc_zk_support.registrations import owner
from zc_zk_support.registrations import session


@pytest.fixture
def zk(zookeeper, connect, patient):
    return connect()


def test_register_makes_an_ephemeral_node(zookeeper, no_leaks, zk):
    registration = zk.register(PATH, ADDRESS, color='red')
    data, stat = zk.get(NODE)
    assert zc.zk.decode(data) == {'color': 'red', 'pid': os.getpid()}
    assert stat.ephemeralOwner == session(zk)
    assert zk.client.get_acls(NODE)[0] == READ_ACL_UNSAFE
    assert registration.paths == (NODE,)
    assert registration.state == 'registered'
    assert registration.properties == zc.zk.decode(data)
    assert registration.reregistered == 0
    assert registration.last_error is None
    assert repr(registration) == f'<Registration {NODE}: registered>'


def test_register_server_is_the_same(zk):
    assert zk.register_server(PATH, '192.0.2.7:8080').paths == (NODE,)


def test_register_follows_links(zk):
    zk.ln(PATH, '/service/link')
    assert zk.register('/service/link', ADDRESS).paths == (NODE,)


def test_register_at_the_root(zk):
    assert zk.register('/', 'a:1').paths == ('/a:1',)
    assert zk.is_ephemeral('/a:1')


def test_register_where_there_is_no_node(zk):
    with pytest.raises(NoNodeError, match='/nowhere'):
        zk.register('/nowhere', ADDRESS)


def test_register_below_an_ephemeral_node(zk):
    zk.register(PATH, ADDRESS)
    with pytest.raises(KazooException, match=NODE):
        zk.register(NODE, 'a:1')


def test_register_twice(zk):
    registration = zk.register(PATH, ADDRESS)
    with pytest.raises(NodeExistsError, match='registered here already'):
        zk.register(PATH, ADDRESS)
    registration.withdraw()
    assert zk.register(PATH, ADDRESS).state == 'registered'


def test_register_with_nonsense(zk):
    with pytest.raises(TypeError):
        zk.register(PATH, ADDRESS, acl='nonsense')
    with pytest.raises(TypeError):
        zk.register(PATH, ADDRESS, value=object())
    assert zk.register(PATH, ADDRESS).state == 'registered'


def test_an_acl_is_kept(zk, zookeeper):
    acl = [ACL(Permissions.READ | Permissions.ADMIN, ANYONE_ID_UNSAFE)]
    registration = zk.register(PATH, ADDRESS, acl)
    assert zk.client.get_acls(NODE)[0] == acl
    zookeeper.expire(zk.client)
    wait_for(lambda: registration.reregistered)
    assert zk.client.get_acls(NODE)[0] == acl


def test_creator_acl(zookeeper, connect, client, patient):
    zk = connect(auth=[('digest', 'me:secret')])
    registration = zk.register(PATH, ADDRESS, zc.zk.creator_acl())
    assert registration.update(a=1)
    stranger = client()
    assert b'"a":1' in stranger.get(NODE)[0]
    with pytest.raises(KazooException):
        stranger.set(NODE, b'')


def test_subscribers_add_properties(zk):
    events = []

    def subscriber(event):
        events.append(event)
        event.properties['added'] = 1

    zc.zk.event.subscribers.append(subscriber)
    try:
        zk.ln(PATH, '/service/link')
        zk.register('/service/link', ADDRESS, given=2)
    finally:
        zc.zk.event.subscribers.remove(subscriber)
    [event] = events
    assert (event.name, event.path) == ('192.0.2.7:8080', PATH)
    properties = {'given': 2, 'pid': os.getpid(), 'added': 1}
    assert event.properties == properties
    assert repr(event) == (f"RegisteringServer('192.0.2.7:8080', '{PATH}', "
                           f'{event.properties!r})')
    assert zk.get_properties(NODE) == properties


# Changes


def test_update(zk):
    registration = zk.register(PATH, ADDRESS, a=1, b=2)
    assert registration.update({'b': 2.5}, b=3, c=4, timeout=5)
    expected = {'a': 1, 'b': 3, 'c': 4, 'timeout': 5,
                'pid': os.getpid()}
    assert zk.get_properties(NODE) == registration.properties == expected
    assert registration.state == 'registered'
    assert registration.reregistered == 0


def test_update_of_a_writable_node_leaves_it_in_place(zk):
    registration = zk.register(PATH, ADDRESS, zc.zk.OPEN_ACL_UNSAFE, a=1)
    created = zk.exists(NODE).czxid
    assert registration.update(a=2)
    assert zk.get_properties(NODE)['a'] == 2
    assert zk.exists(NODE).czxid == created


@pytest.mark.parametrize('acl', [zc.zk.READ_ACL_UNSAFE,
                                 zc.zk.OPEN_ACL_UNSAFE])
def test_updated_properties_come_back(zk, zookeeper, acl):
    registration = zk.register(PATH, ADDRESS, acl, a=1)
    registration.update(a=2)
    zookeeper.expire(zk.client)
    wait_for(lambda: registration.reregistered == 1)
    assert zk.get_properties(NODE)['a'] == 2


def test_set_data_come_back(zk, zookeeper):
    registration = zk.register(PATH, ADDRESS, zc.zk.OPEN_ACL_UNSAFE)
    zk.set(NODE, b'{"a": 5}')
    zookeeper.expire(zk.client)
    wait_for(lambda: registration.reregistered == 1)
    assert zk.get_properties(NODE) == {'a': 5} == registration.properties


def test_withdraw_and_restore(zk):
    registration = zk.register(PATH, ADDRESS, a=1)
    assert registration.withdraw()
    assert registration.withdraw()
    assert not zk.exists(NODE)
    assert registration.state == 'withdrawn'
    assert registration.restore()
    assert registration.restore()
    assert zk.get_properties(NODE)['a'] == 1
    assert registration.state == 'registered'
    assert registration.reregistered == 0


def test_withdrawn_stays_away(zk, zookeeper):
    registration = zk.register(PATH, ADDRESS)
    other = zk.register(PATH, 'other:1')
    registration.withdraw()
    registration.update(a=3)
    zookeeper.expire(zk.client)
    wait_for(lambda: other.reregistered)
    assert zk.get_children(PATH) == ['other:1']
    assert registration.restore()
    assert zk.get_properties(NODE)['a'] == 3


def test_withdraw_leaves_the_node_of_another(zk, connect):
    registration = zk.register(PATH, ADDRESS)
    other = connect()
    other.register(PATH, ADDRESS)
    assert registration.withdraw()
    assert owner(zk) == session(other)


def test_delete_withdraws(zk):
    registration = zk.register(PATH, ADDRESS)
    zk.delete(NODE)
    assert registration.state == 'withdrawn'
    assert registration.restore()
    assert owner(zk) == session(zk)


def test_withdraw_is_fast(zk):
    times = []
    for _ in range(9):
        registration = zk.register(PATH, ADDRESS)
        started = time.monotonic()
        assert registration.withdraw()
        times.append(time.monotonic() - started)
    # A slow machine delays some attempts, a wait in the code all of them.
    assert min(times) < .5


def test_close_removes_the_node(zk, connect):
    witness = connect()
    registration = zk.register(PATH, ADDRESS)
    zk.close()
    zk.close()
    assert not witness.exists(NODE)
    assert registration.state == 'lost'
    assert not registration.withdraw()


def test_updates_from_several_threads(zk):
    registration = zk.register(PATH, ADDRESS)

    def update(number):
        for serial in range(10):
            registration.update({f'{number}-{serial}': serial})

    threads = [threading.Thread(target=update, args=[number])
               for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(zk.get_properties(NODE)) == 41
