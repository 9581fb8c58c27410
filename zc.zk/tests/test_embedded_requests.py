"""Test each request of the protocol, on both kinds of servers."""
import struct

import pytest
from kazoo.exceptions import BadVersionError
from kazoo.exceptions import NoChildrenForEphemeralsError
from kazoo.exceptions import NodeExistsError
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import NotEmptyError
from kazoo.security import OPEN_ACL_UNSAFE
from zc_zk_support import wire


def test_sequence_numbers_count_creates_also_of_deleted_children(kazoo):
    kazoo.create('/queue')
    kazoo.create('/queue/plain')
    first = kazoo.create('/queue/n-', sequence=True)
    kazoo.delete(first)
    kazoo.delete('/queue/plain')
    assert first == '/queue/n-0000000001'
    assert kazoo.create('/queue/', sequence=True) == '/queue/0000000002'
    assert kazoo.create(
        '/queue/x', sequence=True, ephemeral=True) == '/queue/x0000000003'


def test_cversion_counts_comings_and_goings(kazoo):
    kazoo.create('/parent')
    seen = []
    for change in (
        lambda: kazoo.create('/parent/a'),
        lambda: kazoo.create('/parent/b', ephemeral=True),
        lambda: kazoo.delete('/parent/a'),
        lambda: kazoo.set('/parent/b', b'x'),
        lambda: kazoo.delete('/parent/b'),
    ):
        change()
        seen.append(kazoo.exists('/parent').cversion)
    assert seen == [1, 2, 3, 3, 4]


def test_stat_has_the_whole_history(kazoo):
    path, new = kazoo.create('/node', b'abc', include_data=True)
    assert path == '/node'
    assert new.czxid == new.mzxid == new.pzxid > 0
    assert new.ctime == new.mtime > 0
    assert (new.version, new.cversion, new.aversion) == (0, 0, 0)
    assert (new.dataLength, new.numChildren, new.ephemeralOwner) == (3, 0, 0)

    changed = kazoo.set('/node', b'abcd')
    assert changed.mzxid > new.czxid == changed.czxid == changed.pzxid
    assert changed.mtime >= new.mtime
    assert (changed.version, changed.dataLength) == (1, 4)

    kazoo.create('/node/child')
    grown = kazoo.exists('/node')
    assert grown.pzxid > changed.mzxid == grown.mzxid
    assert (grown.numChildren, grown.version, grown.cversion) == (1, 1, 1)

    guarded = kazoo.set_acls('/node', OPEN_ACL_UNSAFE)
    assert (guarded.aversion, guarded.version) == (1, 1)
    assert (guarded.mzxid, guarded.pzxid) == (grown.mzxid, grown.pzxid)


def test_ephemeral_owner_is_the_session(kazoo):
    kazoo.create('/mine', ephemeral=True)
    assert kazoo.exists('/mine').ephemeralOwner == kazoo.client_id[0]


def test_data_none_is_not_empty_data(raw):
    for data in (None, b'', b'x'):
        path = f'{raw.root}/data'
        assert raw.request(wire.CREATE, wire.creation(path, data)).code == 0
        reply = raw.request(wire.GET_DATA, wire.watched(path))
        assert reply.body[:-wire.STAT.size] == wire.buffer(data)
        assert wire.STAT.unpack(reply.body[-wire.STAT.size:])[8] == len(
            data or b'')
        assert raw.request(wire.DELETE, wire.versioned(path)).code == 0


def test_errors_name_what_is_wrong(kazoo):
    kazoo.create('/a')
    kazoo.create('/a/b')
    kazoo.create('/e', ephemeral=True)
    with pytest.raises(NodeExistsError):
        kazoo.create('/a')
    with pytest.raises(NoNodeError):
        kazoo.create('/x/y')
    with pytest.raises(NoChildrenForEphemeralsError):
        kazoo.create('/e/child')
    with pytest.raises(NotEmptyError):
        kazoo.delete('/a')
    with pytest.raises(NoNodeError):
        kazoo.delete('/a/none')
    with pytest.raises(BadVersionError):
        kazoo.delete('/a/b', version=7)
    with pytest.raises(BadVersionError):
        kazoo.set('/a', b'', version=1)
    with pytest.raises(BadVersionError):
        kazoo.set_acls('/a', OPEN_ACL_UNSAFE, version=1)
    for read in (kazoo.get, kazoo.get_children, kazoo.get_acls):
        with pytest.raises(NoNodeError):
            read('/none')
    assert kazoo.exists('/none') is None


@pytest.mark.parametrize('path', [
    'a', '', '/a/', '//a', '/a//b', '/.', '/a/../b', '/a/./b', '/\0',
    '/a\x01', '/a\x7f', '/a\x9f', '/\ue000', '/\uf8ff', '/\ufff0',
    '/\U0001f600'])
def test_bad_paths_are_bad_arguments(raw, path):
    requests = [
        (wire.SET_DATA, wire.setting(path, b'')),
        (wire.SET_ACL, wire.text(path) + wire.access(wire.OPEN)
         + struct.pack('>i', -1)),
    ]
    if path not in ('/a/', '/a//b', '/a/../b', '/a/./b'):
        requests.append((wire.CREATE, wire.creation(path)))
    for op, body in requests:
        assert raw.request(op, body).code == -8


@pytest.mark.parametrize('name', [
    '\xe9', '\ud7ff', '\uf900', '\uffef', 'a b', '...', '.a', 'a..', '%'])
def test_strange_names_are_names(raw, name):
    path = f'{raw.root}/{name}'
    assert raw.request(wire.CREATE, wire.creation(path)).body == wire.text(
        path)
    assert raw.request(wire.DELETE, wire.versioned(path)).code == 0


@pytest.mark.parametrize('path', [
    '/', '/zookeeper', '/zookeeper/config', '/zookeeper/quota'])
def test_the_servers_own_nodes_stay(raw, path):
    assert raw.request(wire.EXISTS, wire.watched(path)).code == 0
    assert raw.request(wire.CREATE, wire.creation(path)).code in (-110, -102)
    assert raw.request(wire.DELETE, wire.versioned(path)).code == -8


def test_the_config_node_is_read_only(raw):
    path = '/zookeeper/config'
    assert raw.request(wire.SET_DATA, wire.setting(path, b'x')).code == -102
    acl = raw.request(wire.GET_ACL, wire.text(path)).body
    assert acl[:-wire.STAT.size] == wire.access([(1, 'world', 'anyone')])


def test_flags_of_create(raw):
    for flags, code in ((-1, -8), (7, -8), (5, -6), (6, -6)):
        body = wire.creation(f'{raw.root}/x', flags=flags)
        assert raw.request(wire.CREATE, body).code == code


def test_sync_answers_the_path(raw):
    assert raw.request(wire.SYNC, wire.text(raw.root)).body == wire.text(
        raw.root)


def test_a_ping_is_answered_as_ping(raw):
    reply = raw.request(wire.PING, xid=-2)
    assert (reply.xid, reply.code, reply.body) == (-2, 0, b'')


def test_replies_carry_the_last_zxid(raw):
    created = raw.request(wire.CREATE, wire.creation(f'{raw.root}/a'))
    stat = raw.request(wire.EXISTS, wire.watched(f'{raw.root}/a'))
    assert wire.STAT.unpack(stat.body)[0] == created.zxid <= stat.zxid


def test_unknown_requests_end_the_connection(raw):
    assert raw.request(200, b'').code == -6
    assert raw.is_closed()


def test_a_malformed_request_is_answered_and_the_next_too(raw):
    assert raw.request(wire.GET_DATA, b'\0\0\1\0').code == -5
    assert raw.request(wire.SYNC, wire.text('/')).code == 0


def test_ephemerals_of_the_session_can_be_listed(raw):
    for name in ('a', 'b'):
        raw.request(wire.CREATE, wire.creation(
            f'{raw.root}/{name}', flags=wire.EPHEMERAL))
    raw.request(wire.CREATE, wire.creation(f'{raw.root}/c'))
    reply = raw.request(wire.GET_EPHEMERALS, wire.text(raw.root))
    assert reply.body in (
        wire.texts(f'{raw.root}/a', f'{raw.root}/b'),
        wire.texts(f'{raw.root}/b', f'{raw.root}/a'))


def test_descendants_can_be_counted(raw):
    for path in ('/a', '/a/b', '/a/b/c', '/ab'):
        raw.request(wire.CREATE, wire.creation(raw.root + path))
    reply = raw.request(
        wire.COUNT_DESCENDANTS, wire.text(raw.root + '/a'))
    assert reply.body == struct.pack('>i', 2)

