"""The same requests, made up at random, to the embedded and a real server.

Whatever differs in their answers is a mistake of the embedded server.
"""
import random
import struct
from contextlib import ExitStack

import pytest
from zc.zk.testing.fixtures import make_server
from zc.zk.tests import wire
from zc.zk.tests.wire import Wire

KINDS = 'embedded', 'apache'
REQUESTS = 400

NAMES = 'a', 'b', 'a/b', 'a/c', 'a/b/d', 'e-', 'a/', '', '//', 'a/../b'
VERSIONS = -1, -1, -1, 0, 1, 2
DATA = None, b'', b'x', b'data'
ACLS = (
    wire.OPEN, wire.OPEN, wire.OPEN, wire.OPEN, (),
    ((31, 'auth', ''),), ((1, 'world', 'anyone'),),
    ((30, 'world', 'anyone'), (1, 'digest', 'user:hash')),
    ((31, 'ip', '127.0.0.1'),), ((31, 'digest', 'no-hash'),))

STATS = {  # where in the reply a Stat is, if there is one
    wire.EXISTS: 0, wire.SET_DATA: 0, wire.SET_ACL: 0,
    wire.CREATE2: -wire.STAT.size, wire.GET_DATA: -wire.STAT.size,
    wire.GET_ACL: -wire.STAT.size, wire.GET_CHILDREN2: -wire.STAT.size,
}


class Source:
    """Makes up requests below a path; the same ones from the same seed."""

    def __init__(self, seed, root):
        self.random = random.Random(seed)
        self.root = root
        self.makers = [
            self.creation, self.creation, self.creation, self.deletion,
            self.setting, self.read, self.read, self.guard, self.multi,
            self.multi_read]
        # Apache ZooKeeper 3.8 takes a persistent watch for an ordinary
        # one once a read has set such a one on the same path.
        self.is_watching_persistently = bool(seed % 2)
        if self.is_watching_persistently:
            self.makers.append(self.watch)

    def request(self):
        return self.random.choice(self.makers)()

    def path(self):
        return f'{self.root}/{self.random.choice(NAMES)}'

    def version(self):
        return self.random.choice(VERSIONS)

    def creation(self):
        op = self.random.choice([wire.CREATE, wire.CREATE2])
        return op, wire.creation(
            self.path(), self.random.choice(DATA), self.random.choice(ACLS),
            self.random.choice([0, 0, 0, 1, 2, 3]))

    def deletion(self):
        return wire.DELETE, wire.versioned(self.path(), self.version())

    def setting(self):
        return wire.SET_DATA, wire.setting(
            self.path(), self.random.choice(DATA), self.version())

    def guard(self):
        return self.random.choice([
            (wire.GET_ACL, wire.text(self.path())),
            (wire.SET_ACL, wire.text(self.path())
             + wire.access(self.random.choice(ACLS))
             + struct.pack('>i', self.version()))])

    def read(self):
        op = self.random.choice([
            wire.EXISTS, wire.GET_DATA, wire.GET_CHILDREN,
            wire.GET_CHILDREN2])
        watch = self.random.random() < .5
        return op, wire.watched(
            self.path(), watch and not self.is_watching_persistently)

    def multi(self):
        makers = self.creation, self.deletion, self.setting, self.condition
        return wire.MULTI, wire.parts(*[
            self.random.choice(makers)()
            for _ in range(self.random.randrange(5))])

    def condition(self):
        return wire.CHECK, wire.versioned(self.path(), self.version())

    def multi_read(self):
        return wire.MULTI_READ, wire.parts(*[
            (self.random.choice([wire.GET_DATA, wire.GET_CHILDREN]),
             wire.watched(self.path()))
            for _ in range(self.random.randrange(4))])

    def watch(self):
        return wire.ADD_WATCH, wire.text(self.path()) + struct.pack(
            '>i', self.random.randrange(2))


def conversation(connection, seed, root):
    """What is asked, and the answers in a form that can be compared."""
    source = Source(seed, root)
    told = []
    for _ in range(REQUESTS):
        op, body = source.request()
        reply = connection.request(op, body)
        events, connection.events = connection.events, []
        answer = comparable(op, reply.body) if not reply.code else ''
        told.append((op, body, reply.code, answer, events))
    return ranked(told)


def comparable(op, body):
    """The body without what depends on the server: times, order of names."""
    if op in (wire.GET_CHILDREN, wire.GET_CHILDREN2):
        names, body = _names(body)
        return names, stat(body) if body else ()
    if op in STATS:
        at = STATS[op] % len(body)
        return body[:at], stat(body[at:])
    if op in (wire.MULTI, wire.MULTI_READ):
        return len(body)
    return body


def stat(body):
    """A Stat with marks on its zxids."""
    (czxid, mzxid, _, _, version, cversion, aversion, owner, length, count,
     pzxid) = wire.STAT.unpack(body)
    return (('zxid', czxid), ('zxid', mzxid), ('zxid', pzxid), version,
            cversion, aversion, bool(owner), length, count)


def ranked(told):
    """The same with each zxid as its rank among all of them."""
    zxids = set()
    _each_zxid(told, zxids.add)
    rank = {zxid: number for number, zxid in enumerate(sorted(zxids))}
    return _each_zxid(told, rank.get)


def _each_zxid(value, function):
    if isinstance(value, tuple) and value[:1] == ('zxid',):
        return function(value[1])
    if isinstance(value, (list, tuple)):
        return [_each_zxid(part, function) for part in value]
    return value


def _names(body):
    count, = struct.unpack_from('>i', body)
    names, at = [], 4
    for _ in range(count):
        size, = struct.unpack_from('>i', body, at)
        names.append(body[at + 4:at + 4 + size])
        at += 4 + size
    return sorted(names), body[at:]


@pytest.fixture(scope='module')
def servers(tmp_path_factory):
    """One of each kind, fresh, so that both begin alike."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                make_server(kind, tmp_path_factory.mktemp(kind)))
            for kind in KINDS]


@pytest.mark.parametrize('seed', range(8))
def test_both_servers_answer_alike(servers, seed):
    root = f'/{seed}'
    conversations = []
    for server in servers:
        with Wire(server.hosts) as connection:
            connection.start()
            connection.request(wire.CREATE, wire.creation(root))
            conversations.append(conversation(connection, seed, root))
    for ours, theirs in zip(*conversations, strict=True):
        assert ours == theirs
