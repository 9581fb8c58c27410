"""Nodes that are changed together, and nodes that we may not read."""

import pytest
import zc.zk
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NodeExistsError
from kazoo.security import ACL
from kazoo.security import ANYONE_ID_UNSAFE
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import Permissions
from kazoo.security import make_acl
from kazoo.security import make_digest_acl
from zc.zk.registration.ephemerals import GetEphemerals
from zc.zk.registration.ephemerals import send_get_ephemerals
from zc.zk.testing.waiting import wait_for
from zc_zk_support import versions
from zc_zk_support.registrations import ADDRESS
from zc_zk_support.registrations import NODE
from zc_zk_support.registrations import PATH
from zc_zk_support.registrations import is_back
from zc_zk_support.registrations import owner
from zc_zk_support.registrations import session


@pytest.fixture
def zk(zookeeper, connect, patient):
    return connect()


def test_several_nodes_at_once(zk, monkeypatch):
    names = '192.0.2.1:80', '192.0.2.2:80'
    monkeypatch.setattr(zc.zk.client, 'node_names', lambda addr: names)
    registration = zk.register(PATH, ('', 80))
    assert registration.paths == tuple(f'{PATH}/{name}' for name in names)
    assert sorted(zk.get_children(PATH)) == list(names)
    stats = [zk.exists(path) for path in registration.paths]
    assert stats[0].czxid == stats[1].czxid
    assert registration.withdraw()
    assert zk.get_children(PATH) == []


def test_all_nodes_or_none(zk, monkeypatch):
    names = '192.0.2.1:80', '192.0.2.2:80'
    monkeypatch.setattr(zc.zk.client, 'node_names', lambda addr: names)
    zk.create(f'{PATH}/192.0.2.2:80')
    with pytest.raises(NodeExistsError, match='192.0.2.2:80 exists and is '
                                              'not ephemeral'):
        zk.register(PATH, ('', 80))
    assert zk.get_children(PATH) == ['192.0.2.2:80']
    zk.delete(f'{PATH}/192.0.2.2:80')
    assert zk.register(PATH, ('', 80)).state == 'registered'


def test_not_allowed(zk):
    zk.create('/closed', b'', [ACL(Permissions.READ, ANYONE_ID_UNSAFE)])
    with pytest.raises(NoAuthError, match='^/closed/192.0.2.7:8080 .CREATE'):
        zk.register('/closed', ADDRESS)


def test_stale_node_that_no_client_may_read(
        zookeeper, client, connect, caplog):
    killed = client()
    killed.ensure_path(PATH)
    killed.create(NODE, b'{"pid": 4711}', ephemeral=True,
                  acl=[ACL(Permissions.WRITE, ANYONE_ID_UNSAFE)])
    zk = connect()
    zk.register(PATH, ADDRESS)
    assert owner(zk) == session(zk)
    whose = ('somebody unknown (we may not read it)'
             if versions.does(zookeeper, *versions.EXISTS_ASKS)
             else f'pid unknown, session 0x{killed.client_id[0]:x}')
    assert f'{NODE}: replaced the node of {whose}' in caplog.text
    zookeeper.expire(killed)
    assert owner(zk) == session(zk)


def test_stale_node_that_we_may_neither_read_nor_delete(zk, client):
    owner = client(auth_data=[('digest', 'user:secret')])
    mine = make_digest_acl('user', 'secret', all=True)
    owner.create('/closed', b'', [mine, make_acl(
        'world', 'anyone', read=True, create=True)])
    owner.create('/closed/192.0.2.7:8080', b'', [mine], ephemeral=True)
    with pytest.raises(NoAuthError, match='^/closed/192.0.2.7:8080 .DELETE'):
        zk.register('/closed', ADDRESS)
    owner.set_acls('/closed', OPEN_ACL_UNSAFE)


def test_node_of_our_own_that_we_may_not_read(zk, client, caplog):
    """Register with an ACL for clients that know a password, unlike us."""
    registration = zk.register(PATH, ADDRESS, [make_digest_acl(
        'user', 'secret', read=True)], a=1)
    reader = client(auth_data=[('digest', 'user:secret')])
    assert registration.update(a=2)
    assert b'"a":2' in reader.get(NODE)[0]
    assert registration.state == 'registered'
    assert registration.reregistered == 0
    assert 'another process' not in caplog.text
    assert registration.withdraw()
    assert not reader.exists(NODE)
    assert registration.restore()
    assert reader.exists(NODE).ephemeralOwner == session(zk)


def test_another_process_whose_node_we_may_not_read(
        zookeeper, zk, client, caplog):
    registration = zk.register(PATH, ADDRESS)
    other = client(auth_data=[('digest', 'user:secret')])
    transaction = other.transaction()
    transaction.delete(NODE)
    transaction.create(NODE, b'', [make_digest_acl(
        'user', 'secret', all=True)], ephemeral=True)
    transaction.commit()
    wait_for(lambda: registration.state == 'displaced')
    if versions.does(zookeeper, *versions.EXISTS_ASKS):
        assert registration.last_error == (
            f'{NODE} is registered by another process: somebody unknown'
            ' (we may not read it)')
    assert f'{registration.last_error}. It is left to them' in caplog.text
    assert registration.withdraw()
    assert other.exists(NODE)
    assert not registration.restore()
    assert registration.state == 'displaced'
    other.delete(NODE)  # servers do not report it
    wait_for(lambda: is_back(registration))
    assert owner(zk) == session(zk)


def test_own_nodes_are_found_below_a_chroot(zookeeper, client):
    kazoo, other = client(), client()
    for path in '/a', '/ab', '/b':
        kazoo.create(path, ephemeral=True)
    other.create('/ac', ephemeral=True)
    request = GetEphemerals('/a', kazoo.chroot)
    assert repr(request) == "GetEphemerals(prefix='/a')"
    assert sorted(send_get_ephemerals(kazoo, '/a').get(30)) == ['/a', '/ab']
