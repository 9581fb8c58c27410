"""Test several operations in one request: multi and multiRead."""
import struct

from kazoo.exceptions import BadVersionError
from kazoo.exceptions import RolledBackError
from kazoo.exceptions import RuntimeInconsistency
from zc_zk_support import versions
from zc_zk_support import wire


def test_a_multi_does_everything(kazoo):
    kazoo.create('/gone')
    transaction = kazoo.transaction()
    transaction.create('/a', b'1')
    transaction.create('/a/n', sequence=True)
    transaction.set_data('/a', b'2')
    transaction.check('/a', 1)
    transaction.delete('/gone')
    results = transaction.commit()
    assert results[:2] == ['/a', '/a/n0000000000']
    assert (results[2].version, results[2].numChildren) == (1, 1)
    assert results[3:] == [True, True]
    data, stat = kazoo.get('/a')
    assert (data, stat.czxid, stat.mzxid) == (b'2', stat.pzxid, stat.czxid)
    assert not kazoo.exists('/gone')


def test_a_failed_multi_changes_nothing(kazoo):
    kazoo.create('/old', b'old')
    kazoo.create('/old/child', b'c')
    before = kazoo.get('/old'), kazoo.get('/old/child')
    transaction = kazoo.transaction()
    transaction.create('/new')
    transaction.create('/old/n', sequence=True)
    transaction.set_data('/old', b'new')
    transaction.delete('/old/child')
    transaction.check('/old', 99)
    transaction.create('/later')
    results = transaction.commit()
    assert [type(result) for result in results] == (
        [RolledBackError] * 4 + [BadVersionError, RuntimeInconsistency])
    assert (kazoo.get('/old'), kazoo.get('/old/child')) == before
    assert not kazoo.exists('/new') and not kazoo.exists('/later')
    assert kazoo.create(
        '/old/n', sequence=True) == '/old/n0000000001'


def test_a_failed_multi_fires_no_watches(kazoo):
    kazoo.create('/a')
    events = []
    kazoo.get('/a', watch=events.append)
    kazoo.get_children('/a', watch=events.append)
    transaction = kazoo.transaction()
    transaction.set_data('/a', b'x')
    transaction.create('/a/b')
    transaction.delete('/none')
    transaction.commit()
    kazoo.sync('/a')
    assert events == []


def test_the_reply_to_a_failed_multi(raw):
    root = raw.root
    reply = raw.request(wire.MULTI, wire.parts(
        (wire.CREATE, wire.creation(f'{root}/a')),
        (wire.DELETE, wire.versioned(f'{root}/none')),
        (wire.CREATE, wire.creation(f'{root}/b')),
        (wire.CHECK, wire.versioned(root))))
    assert reply.code == 0
    assert reply.body == b''.join(
        struct.pack('>i?ii', -1, False, code, code)
        for code in (0, -101, -2, -2)) + struct.pack('>i?i', -1, True, -1)


def test_an_empty_multi_is_fine(raw):
    for op in (wire.MULTI, wire.MULTI_READ):
        reply = raw.request(op, wire.parts())
        assert (reply.code, reply.body) == (0, wire.parts())


def test_a_multi_of_what_it_cannot_hold_is_malformed(raw):
    for op, part in ((wire.MULTI, wire.GET_DATA), (wire.MULTI, 99),
                     (wire.MULTI_READ, wire.EXISTS)):
        body = wire.parts((part, wire.watched('/')))
        assert raw.request(op, body).code == -5


def test_a_multi_read_answers_each_and_sets_no_watch(raw):
    root = raw.root
    raw.request(wire.CREATE, wire.creation(f'{root}/a', b'data'))
    reply = raw.request(wire.MULTI_READ, wire.parts(
        (wire.GET_DATA, wire.watched(f'{root}/a', True)),
        (wire.GET_CHILDREN, wire.watched(root, True)),
        (wire.GET_DATA, wire.watched(f'{root}/none', True)),
        (wire.GET_CHILDREN, wire.watched(f'{root}/none', True))))
    stat = raw.request(wire.EXISTS, wire.watched(f'{root}/a')).body
    error = struct.pack('>i?ii', -1, False, -101, -101)
    assert reply.code == 0
    assert reply.body == (
        struct.pack('>i?i', wire.GET_DATA, False, 0)
        + wire.buffer(b'data') + stat
        + struct.pack('>i?i', wire.GET_CHILDREN, False, 0)
        + wire.texts('a') + error + error
        + struct.pack('>i?i', -1, True, -1))
    raw.request(wire.SET_DATA, wire.setting(f'{root}/a', b''))
    raw.request(wire.CREATE, wire.creation(f'{root}/none'))
    assert raw.events == []



def test_a_create2_in_a_multi(raw, zookeeper):
    path = f'{raw.root}/a'
    reply = raw.request(wire.MULTI, wire.parts(
        (wire.CREATE2, wire.creation(path)),
        (wire.SET_DATA, wire.setting(path, b'x'))))
    tells = versions.does(zookeeper, *versions.MULTI_CREATES_TELL)
    op = wire.CREATE2 if tells else wire.CREATE
    begin = struct.pack('>i?i', op, False, 0) + wire.text(path)
    assert reply.body.startswith(begin)
    rest = reply.body[len(begin):]
    if tells:
        czxid, mzxid, *_, version, _, _, owner, size, _, pzxid = (
            wire.STAT.unpack_from(rest))
        assert czxid == mzxid == pzxid == reply.zxid
        assert (version, owner, size) == (0, 0, 0)
        rest = rest[wire.STAT.size:]
    assert rest.startswith(struct.pack('>i?i', wire.SET_DATA, False, 0))


def test_a_check_outside_of_a_multi(raw, zookeeper):
    reply = raw.request(wire.CHECK, wire.versioned(raw.root, 9))
    if versions.does(zookeeper, *versions.LONE_CHECKS_FAIL):
        assert reply.code == -6
        assert raw.is_closed()
    else:
        assert reply.code == -103
