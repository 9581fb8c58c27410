"""Test access control and authentication."""
import struct

import pytest
from kazoo.exceptions import InvalidACLError
from kazoo.exceptions import NoAuthError
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import make_acl
from kazoo.security import make_digest_acl
from zc_zk_support import versions
from zc_zk_support import wire


def test_each_permission_is_asked_for(kazoo, client):
    owner = client(auth_data=[('digest', 'owner:secret')])
    everything = make_digest_acl('owner', 'secret', all=True)

    def guard(**permissions):
        owner.set_acls('/guarded', [
            everything, make_acl('world', 'anyone', **permissions)])

    owner.create('/guarded', b'')
    owner.create('/guarded/child')
    attempts = {
        'read': [
            lambda: kazoo.get('/guarded'),
            lambda: kazoo.get_children('/guarded'),
            lambda: kazoo.get_acls('/guarded'),
        ],
        'write': [lambda: kazoo.set('/guarded', b'')],
        'create': [lambda: kazoo.create('/guarded/n', sequence=True)],
        'delete': [lambda: kazoo.delete('/guarded/child')],
        'admin': [lambda: kazoo.set_acls('/guarded', [everything])],
    }
    for permission, calls in attempts.items():
        for call in calls:
            guard(**{name: True for name in attempts
                     if name not in (permission, 'admin')})
            with pytest.raises(NoAuthError):
                call()
            guard(**{permission: True})
            call()
    owner.set_acls('/guarded', OPEN_ACL_UNSAFE)


def test_exists_asks_for_read_where_there_is_a_node(
        zookeeper, kazoo, client):
    owner = client(auth_data=[('digest', 'owner:secret')])
    owner.create('/x', acl=[make_digest_acl('owner', 'secret', all=True)])
    if versions.does(zookeeper, *versions.EXISTS_ASKS):
        with pytest.raises(NoAuthError):
            kazoo.exists('/x')
    else:
        assert kazoo.exists('/x')
    assert owner.exists('/x')
    assert kazoo.exists('/x/y') is None
    owner.delete('/x')
    assert kazoo.exists('/x') is None


def test_a_refused_exists_sets_no_watch(zookeeper, raw, client):
    owner = client(auth_data=[('digest', 'owner:secret')])
    owner.create('/x', acl=[make_digest_acl('owner', 'secret', all=True)])
    path = f'{raw.root}/x'
    is_refused = versions.does(zookeeper, *versions.EXISTS_ASKS)
    assert raw.request(wire.EXISTS, wire.watched(path, True)).code == (
        -102 if is_refused else 0)
    owner.set_acls('/x', OPEN_ACL_UNSAFE)
    owner.set('/x', b'')
    raw.request(wire.SYNC, wire.text('/'))
    assert raw.events == ([] if is_refused else [wire.Event(3, path)])


def test_a_multi_asks_for_permissions_too(kazoo, client):
    owner = client(auth_data=[('digest', 'owner:secret')])
    owner.create('/x', acl=[make_digest_acl('owner', 'secret', all=True)])
    for step in (
        lambda transaction: transaction.create('/x/y'),
        lambda transaction: transaction.set_data('/x', b''),
        lambda transaction: transaction.check('/x', 0),
    ):
        transaction = kazoo.transaction()
        step(transaction)
        assert [type(result) for result in transaction.commit()] == [
            NoAuthError]
    owner.delete('/x')


def test_a_wrong_password_opens_nothing(kazoo, client):
    owner = client(auth_data=[('digest', 'owner:secret')])
    owner.create('/x', acl=[make_digest_acl('owner', 'secret', all=True)])
    kazoo.add_auth('digest', 'owner:guess')
    with pytest.raises(NoAuthError):
        kazoo.get('/x')
    kazoo.add_auth('digest', 'owner:secret')
    assert kazoo.get('/x')[0] == b''
    owner.delete('/x')


def test_auth_stands_for_the_identities_of_the_client(kazoo, client):
    with pytest.raises(InvalidACLError):
        kazoo.create('/x', acl=[make_acl('auth', '', all=True)])
    owner = client(auth_data=[('digest', 'owner:secret')])
    owner.create('/x', acl=[make_acl('auth', '', all=True)])
    assert owner.get_acls('/x')[0] == [
        make_digest_acl('owner', 'secret', all=True)]
    owner.delete('/x')


def test_hashes_are_shown_to_administrators_alone(kazoo, client):
    owner = client(auth_data=[('digest', 'owner:secret')])
    owner.create('/x', acl=[
        make_digest_acl('owner', 'secret', all=True),
        make_acl('world', 'anyone', read=True)])
    assert kazoo.get_acls('/x')[0][0].id.id == 'owner:x'
    assert owner.get_acls('/x')[0][0] == make_digest_acl(
        'owner', 'secret', all=True)
    owner.delete('/x')


def test_addresses_are_identities(kazoo):
    kazoo.create('/here', acl=[make_acl('ip', '127.0.0.0/8', all=True)])
    kazoo.create('/there', acl=[make_acl('ip', '10.0.0.1', all=True)])
    assert kazoo.get('/here')[0] == b''
    with pytest.raises(NoAuthError):
        kazoo.get('/there')


@pytest.mark.parametrize('entry', [
    None, ('world', 'bob'), ('digest', 'user'), ('digest', 'a:b:c'),
    ('digest', 'a:'), ('ip', 'here'), ('ip', '10.0.0.0/33'),
    ('sasl', 'a'), ('x509', 'a'), ('', ''), ('no such', 'a')])
def test_empty_and_meaningless_lists_are_invalid(raw, entry):
    acl = [(31, *entry)] if entry else []
    path = f'{raw.root}/x'
    assert raw.request(
        wire.CREATE, wire.creation(path, acl=acl)).code == -114
    assert raw.request(
        wire.SET_ACL, wire.text(raw.root) + wire.access(acl)
        + struct.pack('>i', -1)).code == -114


def test_ipv6_addresses_are_identities_in_newer_servers(raw, zookeeper):
    """The embedded server refuses what only newer servers accept."""
    is_valid = zookeeper.name == 'apache' and versions.does(
        zookeeper, *versions.IPV6_IN_ACLS)
    for entry in ('ip', '::1'), ('ip', '2001:db8::/32'):
        path = f'{raw.root}/{entry[1].partition("/")[0]}'
        assert raw.request(wire.CREATE, wire.creation(
            path, acl=[(31, *entry)])).code == (0 if is_valid else -114)


def test_the_same_entry_twice_counts_once(raw):
    path = f'{raw.root}/x'
    raw.request(wire.CREATE, wire.creation(path, acl=wire.OPEN * 3))
    reply = raw.request(wire.GET_ACL, wire.text(path))
    assert reply.body[:-wire.STAT.size] == wire.access(wire.OPEN)


def test_unknown_schemes_fail_and_end_the_connection(raw):
    body = struct.pack('>i', 0) + wire.text('world') + wire.buffer(b'x')
    assert raw.request(wire.AUTH, body, xid=-4).code == -115
    assert raw.is_closed()


def test_who_am_i(raw):
    body = struct.pack('>i', 0) + wire.text('digest') + wire.buffer(b'u:p')
    reply = raw.request(wire.AUTH, body, xid=-4)
    assert (reply.xid, reply.code) == (-4, 0)
    mine = raw.request(wire.WHO_AM_I).body
    ids = [wire.text(scheme) + wire.text(name)
           for scheme, name in (('ip', '127.0.0.1'), ('digest', 'u'))]
    count = struct.pack('>i', 2)
    assert mine in (count + b''.join(ids), count + b''.join(ids[::-1]))


def test_a_client_that_may_not_read_a_node_gets_no_event(raw):
    hidden, open_ = f'{raw.root}/hidden', f'{raw.root}/open'
    for path in (hidden, open_):
        raw.request(wire.EXISTS, wire.watched(path, True))
    raw.request(wire.CREATE, wire.creation(
        hidden, acl=[(30, 'world', 'anyone')]))
    raw.request(wire.CREATE, wire.creation(open_))
    assert raw.events == [wire.Event(1, open_)]
