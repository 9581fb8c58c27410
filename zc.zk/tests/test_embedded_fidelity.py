"""Send the same random requests to the embedded and to an Apache server.

A difference between the answers is a mistake of the embedded server, except
for what older releases of Apache ZooKeeper do differently, which `Old` lists.
"""
import random
import re
import struct
from contextlib import ExitStack

import pytest
from zc.zk.testing.fixtures import make_server
from zc_zk_support import versions
from zc_zk_support import wire
from zc_zk_support.wire import Wire

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

PLAIN_FLAGS = 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7
FLAGS = {  # as clients send them: an Apache server ends with a TTL of -1
    wire.CREATE: PLAIN_FLAGS, wire.CREATE2: PLAIN_FLAGS,
    wire.CREATE_CONTAINER: (4,), wire.CREATE_TTL: (5, 6),
}

STATS = {  # where in the reply a Stat is, if there is one
    wire.EXISTS: 0, wire.SET_DATA: 0, wire.SET_ACL: 0,
    wire.CREATE2: -wire.STAT.size, wire.CREATE_CONTAINER: -wire.STAT.size,
    wire.CREATE_TTL: -wire.STAT.size, wire.GET_DATA: -wire.STAT.size,
    wire.GET_ACL: -wire.STAT.size, wire.GET_CHILDREN2: -wire.STAT.size,
}


class Source:
    """Generates requests below a path, the same from the same seed."""

    def __init__(self, seed, root, old):
        self.random = random.Random(seed)
        self.root = root
        self.makers = [
            self.creation, self.creation, self.creation, self.deletion,
            self.setting, self.read, self.read, self.guard, self.multi,
            self.multi_read]
        self.old = old
        self.is_watching_persistently = bool(seed % 2)
        if self.is_watching_persistently:
            self.makers += [self.watch, self.unwatch]

    def request(self):
        return self.random.choice(self.makers)()

    def path(self):
        return f'{self.root}/{self.random.choice(NAMES)}'

    def version(self):
        return self.random.choice(VERSIONS)

    def part_creation(self):
        while True:
            op, body = self.creation()
            flags, = struct.unpack('>i', body[-4:])
            if op == wire.CREATE_TTL or flags not in (5, 6):
                return op, body
            # Java's client refuses this, and no server reads it in a multi.

    def creation(self):
        op = self.random.choice([
            wire.CREATE, wire.CREATE, wire.CREATE2, wire.CREATE2,
            wire.CREATE_CONTAINER, wire.CREATE_TTL])
        body = wire.creation(
            self.path(), self.random.choice(DATA), self.random.choice(ACLS),
            self.random.choice(FLAGS[op]))
        if op == wire.CREATE_TTL:
            body += struct.pack('>q', self.random.choice([0, 1000]))
        return op, body

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
        if self.is_watching_persistently and self.old.has_one_watch_a_path:
            watch = False
        return op, wire.watched(self.path(), watch)

    def multi(self):
        makers = (self.part_creation, self.deletion, self.setting,
                  self.condition)
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
        path, mode = self.path(), self.random.randrange(2)
        if self.old.has_one_watch_a_path:
            mode = len(path) % 2
        return wire.ADD_WATCH, wire.text(path) + struct.pack('>i', mode)

    def unwatch(self):
        op = self.random.choice([wire.CHECK_WATCHES, wire.REMOVE_WATCHES])
        kind = self.random.randrange(1, 6)
        if self.old.has_one_watch_a_path:
            kind = 3  # any
        return op, wire.text(self.path()) + struct.pack('>i', kind)


# A path that is malformed, in a request: an integer follows its end.
MALFORMED = re.compile(rb'//|/\.\.?/|/[\0\xff]')


class Old:
    """What Apache servers of other releases do differently.

    Each difference has a test of its own, too, which uses `versions`.
    """

    def __init__(self, real):
        # A persistent watch becomes an ordinary one when a read sets an
        # ordinary one on the same path: the last mode replaces the others.
        self.has_one_watch_a_path = not versions.does(
            real, *versions.WATCHES_ADD_UP)
        self.tells_of_all = not versions.does(real, *versions.EXISTS_ASKS)
        self.omits_stats = not versions.does(
            real, *versions.MULTI_CREATES_TELL)
        self.has_one_error_a_multi = versions.does(
            real, *versions.BAD_PATHS_END_MULTIS)

    def ask(self, connection, op, body, ours):
        """Return the Apache server's reply, as a newer release makes it.

        `ours` is the reply of the embedded server.
        """
        if (op, ours.code) == (wire.EXISTS, -102) and self.tells_of_all:
            # Without the watch, so that both servers have the same state.
            reply = connection.request(op, body[:-1] + b'\0')
            assert (reply.code, len(reply.body)) == (0, wire.STAT.size)
            return reply._replace(code=-102)
        reply = connection.request(op, body)
        if (op, reply.code, ours.code) == (wire.MULTI, -5, 0) and (
                self.has_one_error_a_multi and MALFORMED.search(body)):
            assert any(code for _, code, *_ in _results(ours.body))
            return ours
        return reply

    def results(self, results):
        """Return our results of a multi as the Apache server has them."""
        if not self.omits_stats:
            return results
        return [(wire.CREATE, *result, ()) if op == wire.CREATE2
                else (op, *result, about) for op, *result, about in results]


def conversations(embedded, real, seed, root, old):
    """Yield each request, with both answers in a form to compare."""
    source = Source(seed, root, old)
    both = [], []
    for _ in range(REQUESTS):
        op, body = source.request()
        ours = embedded.request(op, body)
        theirs = old.ask(real, op, body, ours)
        for recorded, reply, connection in zip(
                both, (ours, theirs), (embedded, real), strict=True):
            events, connection.events = connection.events, []
            answer = ''
            if not reply.code:
                answer = comparable(op, reply.body)
                if op == wire.MULTI and connection is embedded:
                    answer = old.results(answer)
            recorded.append((op, body, reply.code, answer, events))
    return map(ranked, both)


def comparable(op, body):
    """Return the body without times, and with the names sorted."""
    if op in (wire.GET_CHILDREN, wire.GET_CHILDREN2):
        names, body = _names(body)
        return names, stat(body) if body else ()
    if op in STATS:
        at = STATS[op] % len(body)
        return body[:at], stat(body[at:])
    if op == wire.MULTI:
        return list(_results(body))
    if op == wire.MULTI_READ:
        return len(body)
    return body


def stat(body):
    """Return a Stat whose zxids are marked."""
    (czxid, mzxid, _, _, version, cversion, aversion, owner, length, count,
     pzxid) = wire.STAT.unpack(body)
    return (('zxid', czxid), ('zxid', mzxid), ('zxid', pzxid), version,
            cversion, aversion, bool(owner), length, count)


def ranked(recorded):
    """Return the answers, each zxid replaced by its rank among all."""
    zxids = set()
    _each_zxid(recorded, zxids.add)
    rank = {zxid: number for number, zxid in enumerate(sorted(zxids))}
    return _each_zxid(recorded, rank.get)


def _each_zxid(value, function):
    if isinstance(value, tuple) and value[:1] == ('zxid',):
        return function(value[1])
    if isinstance(value, (list, tuple)):
        return [_each_zxid(part, function) for part in value]
    return value


def _results(body):
    """Return the results of a multi: type, code, path or error, and Stat."""
    at = 0
    while True:
        op, is_end, code = struct.unpack_from('>i?i', body, at)
        at += 9
        if is_end:
            return
        begin, about = at, ()
        if op in (wire.CREATE, wire.CREATE2):
            at += 4 + struct.unpack_from('>i', body, at)[0]
        elif op == -1:
            at += 4
        recorded = body[begin:at]
        if op in (wire.CREATE2, wire.SET_DATA):
            about = stat(body[at:at + wire.STAT.size])
            at += wire.STAT.size
        yield op, code, recorded, about


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
    """Start a new server of each kind, so that both begin equal."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                make_server(kind, tmp_path_factory.mktemp(kind)))
            for kind in KINDS]


@pytest.mark.parametrize('seed', range(8))
def test_both_servers_answer_alike(servers, seed):
    root = f'/{seed}'
    with ExitStack() as stack:
        connections = [stack.enter_context(Wire(server.hosts)).start()
                       for server in servers]
        for connection in connections:
            connection.request(wire.CREATE, wire.creation(root))
        both = conversations(*connections, seed, root, Old(servers[1]))
        for ours, theirs in zip(*both, strict=True):
            assert ours == theirs
