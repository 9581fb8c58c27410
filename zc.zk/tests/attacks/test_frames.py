"""Spoil ZooKeeper's frames: the node is back once the proxy is honest."""
import itertools
import logging
import struct
import threading
import time
from contextlib import ExitStack
from contextlib import suppress

import pytest
import zc.zk
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from kazoo.exceptions import KazooException
from kazoo.exceptions import NoNodeError
from zc.zk.connection.session import forget_session
from zc.zk.encoding import decode
from zc.zk.registration.ephemerals import GetEphemerals
from zc.zk.testing.waiting import wait_for
from zc_zk_support import corruption
from zc_zk_support.corruption import TO_CLIENT
from zc_zk_support.corruption import TO_SERVER
from zc_zk_support.corruption import Corruption

PATH = '/providers'
NODE = PATH + '/192.0.2.7:8080'

#: The time in which the node has to be back.
ALLOWED_S = 3.0
#: To doubt a connection, to begin a second session and end it, to connect, to
#: begin a session, and to write, each between two busy processes.
TURNS = 6


class Scene:
    """A registration behind a proxy, and a witness that is not."""

    def __init__(self, zookeeper, proxy, zk, witness):
        self.zookeeper, self.proxy = zookeeper, proxy
        self.zk, self.witness = zk, witness
        self.registration = zk.register(PATH, '192.0.2.7:8080', a=1)
        wait_for(self.is_right)

    def is_right(self):
        """Return whether the client's session has this node and no other."""
        client_id = self.zk.client.client_id
        try:
            data, stat = self.witness.get(NODE)
        except NoNodeError:
            return False
        return (client_id is not None
                and stat.ephemeralOwner == client_id[0]
                and decode(data) == self.registration.properties
                and self.witness.get_children(PATH) == NODE.split('/')[2:]
                and self.registration.state == 'registered')

    def spoil(self, event, direction, spoil, skip=0, count=1, type_=None,
              length=None, wanted=0):
        """Spoil frames that follow an event, and wait for the node.

        So many as are wanted come, and for others it waits half a second.

        Return how many seconds it took from when the proxy was honest. The
        node is deleted at that moment: a connection without an answer, or a
        watch that was never set, would not show otherwise.
        """
        self.proxy.arm(direction, spoil, skip, count, type_, length)
        EVENTS[event](self)
        wait_for(lambda: len(self.proxy.spoiled) >= wanted,
                 message=self.describe)
        until = time.monotonic() + .5
        wait_for(lambda: not self.proxy.is_armed or time.monotonic() > until)
        self.proxy.disarm()
        self.delete()
        wait_for(self.is_right, 20, self.describe)
        took_s = time.monotonic() - self.proxy.honest_since
        assert self.zk.is_alive()
        return took_s

    def describe(self):
        nodes = {name: self.witness.get(f'{PATH}/{name}')
                 for name in self.witness.get_children(PATH)}
        return (f'{self.registration}, {self.registration.last_error},'
                f' {self.registration.properties}, {nodes},'
                f' {self.zk.client.client_id}, spoiled: {self.proxy.spoiled}')

    def delete(self):
        """Delete the node: an event, reads, a transaction, an event."""
        with suppress(NoNodeError):
            self.witness.delete(NODE)

    def update(self):
        """Begin to update the node: reads, a transaction, an event, reads."""
        threading.Thread(target=self.registration.update,
                         args=({'b': time.monotonic()},)).start()


EVENTS = {
    'delete': Scene.delete,
    'expire': lambda scene: forget_session(scene.zk.client),
    'reset': lambda scene: scene.proxy.reset(),
    'update': Scene.update,
}


@pytest.fixture
def make_scene(zookeeper, client):
    """Make scenes with a session time-out, in seconds."""
    witness = client()
    witness.ensure_path(PATH)
    with ExitStack() as stack:
        def make(session_timeout_s):
            proxy = stack.enter_context(
                Corruption(zookeeper.connection_string))
            zk = stack.enter_context(zc.zk.ZooKeeper(
                proxy.connection_string, session_timeout_s,
                auth=[('digest', 'me:secret')]))
            return Scene(zookeeper, proxy, zk, witness)

        yield make


@pytest.fixture
def scene(make_scene):
    return make_scene(4.)


#: Types of requests.
MULTI, EXISTS, GET_EPHEMERALS = 14, 3, 103

#: Offsets in a frame with its length: of a reply's and an event's header, and
#: of the first field behind it.
XID, ZXID, CODE, BODY = 4, 8, 16, 20
#: Offsets in a Stat: see ZooKeeper's zookeeper.jute.
VERSION, OWNER, STAT_BYTES = 32, 44, 68
#: The length of an answer to Connect.
CONNECTED_BYTES = 41

FOUND = {
    # The ways in which kazoo's thread has died.
    'password of length -1': (
        'reset', corruption.overwrite(20, struct.pack('!i', -1)), 0),
    'session read-only': ('reset', corruption.overwrite(40, b'\x01'), 0),
    'credentials accepted by a later transaction': (
        'reset', corruption.overwrite(ZXID, struct.pack('!q', 2 ** 62)), 1),
    'frame of 3 bytes': ('delete', corruption.shorten(3), 1),
    'empty frame': ('delete', corruption.shorten(0), 1),
    'unknown error code': (
        'delete', corruption.overwrite(CODE, struct.pack('!i', 77)), 1),
    'newer error code': (
        'delete', corruption.overwrite(CODE, struct.pack('!i', -199)), 1),
    'wrong xid': (
        'delete', corruption.overwrite(XID, struct.pack('!i', 7)), 1),
    'answer as event': (
        'delete', corruption.overwrite(XID, struct.pack('!i', -1)), 1),
    'answer as ping': (
        'delete', corruption.overwrite(XID, struct.pack('!i', -2)), 1),
    'answer as authentication': (
        'delete', corruption.overwrite(XID, struct.pack('!i', -4)), 1),
    'event as ping': (
        'delete', corruption.overwrite(XID, struct.pack('!i', -2)), 0),
    'event as refused authentication': (
        'delete', corruption.overwrite(
            XID, struct.pack('!iqi', -4, 0, -115)), 0),
    'event not UTF-8': (
        'delete', corruption.overwrite(BODY + 12, b'\xff'), 0),
    'event of another node': (
        'delete', corruption.overwrite(BODY + 12, b'/x'), 0),
    'event of another type': (
        'delete', corruption.overwrite(BODY, struct.pack('!i', 99)), 0),
    'negative length': ('delete', corruption.say_length(-5), 0),
    'huge length': ('delete', corruption.say_length(2 ** 31 - 1), 0),
    'length too long': ('delete', corruption.say_length(4000), 0),
    'credentials refused': (
        'reset', corruption.overwrite(CODE, struct.pack('!i', -115)), 1),
    'later transaction': (
        'delete', corruption.overwrite(ZXID, struct.pack('!q', 2 ** 62)), 1),
    'no answer': ('delete', lambda frame: b'', 1),
    # The answer to exists, once the node has been created again: what it says
    # decides about the node.
    'no node': (
        'update', corruption.overwrite(CODE, struct.pack('!i', -101)), 0),
    'node of another session': (
        'update', corruption.overwrite(BODY + OWNER, b'\1'), 0),
    'node of no session': (
        'update', corruption.overwrite(BODY + OWNER, bytes(8)), 0),
    'container': (
        'update', corruption.overwrite(
            BODY + OWNER, struct.pack('!q', -1 << 63)), 0),
    'node of another version': (
        'update', corruption.overwrite(
            BODY + VERSION, struct.pack('!i', 2 ** 30)), 0),
    'node of another transaction': (
        'update', corruption.overwrite(BODY, struct.pack('!q', 2 ** 40)), 0),
}

#: What an answer to Connect may say of a session, one that exists or a new
#: one: offset and bytes.
SESSION = {
    'timeout of days': (8, struct.pack('!i', 2 ** 30)),
    'timeout of 1 ms': (8, struct.pack('!i', 1)),
    'timeout of 100 ms': (8, struct.pack('!i', 100)),
    'no timeout': (8, bytes(4)),
    'negative timeout': (8, struct.pack('!i', -4000)),
    'another id': (12, struct.pack('!q', 2 ** 40)),
    'no id': (12, bytes(8)),
    'another password': (24, b'0123456789abcdef'),
    'no session': (8, bytes(12)),
    'another protocol': (4, b'\1'),
}


@pytest.mark.clock
@pytest.mark.parametrize('found', FOUND)
def test_one_bad_frame(scene, found):
    event, spoil, skip = FOUND[found]
    took_s = scene.spoil(event, TO_CLIENT, spoil, skip, wanted=1)
    assert is_in_time(scene, took_s)
    assert_works(scene)


@pytest.mark.clock
@pytest.mark.parametrize('event', ['delete', 'update', 'expire'])
@pytest.mark.parametrize('new', [b'"a":3', b'"a";1'])
def test_other_data_in_an_answer(scene, event, new):
    """The answer to getData, by which what was written is read back."""
    spoil = corruption.Once(corruption.replace(b'"a":1', new))
    scene.proxy.arm(TO_CLIENT, spoil, count=10 ** 6)
    EVENTS[event](scene)
    wait_for(lambda: spoil.done)
    scene.proxy.disarm()
    wait_for(scene.is_right, 20, scene.describe)
    assert is_in_time(scene, time.monotonic() - scene.proxy.honest_since)
    assert_works(scene)


def test_a_wrong_password_of_a_new_session(scene, zookeeper):
    """It is noticed, and replaced, with the next connection."""
    client = scene.zk.client
    before = client.client_id
    scene.proxy.arm(TO_CLIENT, corruption.overwrite(
        *SESSION['another password']), length=CONNECTED_BYTES)
    forget_session(client)
    wait_for(lambda: client.client_id not in (None, before)
             and scene.is_right())
    wrong = client.client_id
    # Until then, another process cannot end the session.
    assert not zc.zk.end_session(zookeeper.hosts, *wrong)
    scene.proxy.reset()
    wait_for(lambda: client.client_id not in (None, wrong)
             and scene.is_right())
    assert zc.zk.end_session(zookeeper.hosts, *client.client_id)


@pytest.mark.clock
@pytest.mark.parametrize('event', ['reset', 'expire'])
@pytest.mark.parametrize('count', [1, 2])
@pytest.mark.parametrize('what', SESSION)
def test_a_wrong_session(scene, what, count, event):
    spoil = corruption.overwrite(*SESSION[what])
    took_s = scene.spoil(event, TO_CLIENT, spoil, 0, count,
                         length=CONNECTED_BYTES, wanted=1)
    assert is_in_time(scene, took_s)
    assert_works(scene)


@pytest.mark.clock
def test_wrong_ids_and_a_deletion(scene):
    """The node of the true session is deleted while it is asked about."""
    for _ in range(4):
        took_s = scene.spoil('reset', TO_CLIENT,
                             corruption.flip(359, 359, 117), 0, 2)
        assert is_in_time(scene, took_s)
    assert_works(scene)


@pytest.mark.clock
@pytest.mark.parametrize('is_deleted', [False, True])
def test_a_wrong_id_and_a_wrong_owner(scene, is_deleted, caplog):
    """Ask again whose the node is, if the answer was about another one.

    One that is deleted while it is asked about is nobody's.
    """
    def ask_amiss(frame):
        if is_deleted:
            scene.delete()
            return frame
        return frame.replace(b':8080', b':8081')

    scene.registration.withdraw()
    session = scene.zk.client.client_id[0]
    scene.proxy.arm(TO_CLIENT, corruption.flip(117), length=CONNECTED_BYTES)
    forget_session(scene.zk.client)
    wait_for(lambda: scene.zk.client.client_id
             and scene.zk.client.client_id[0] != session)
    wrong = scene.zk.client.client_id[0]
    scene.proxy.arm(TO_SERVER, ask_amiss, type_=GET_EPHEMERALS)
    began = time.monotonic()
    assert scene.registration.restore(20)
    wait_for(scene.is_right, 20, scene.describe)
    assert scene.proxy.spoiled
    assert scene.zk.client.client_id[0] != wrong
    assert is_in_time(scene, time.monotonic() - began)
    assert len(caplog.messages) <= 8, caplog.messages
    assert_works(scene)


def test_a_wrong_id_at_an_old_server(make_scene, monkeypatch):
    """ZooKeeper before 3.6 does not tell whose nodes are ours."""
    monkeypatch.setattr(GetEphemerals, 'type', 999)
    scene = make_scene(4.)
    for _ in range(2):
        took_s = scene.spoil('expire', TO_CLIENT, corruption.flip(117),
                             length=CONNECTED_BYTES, wanted=1)
        assert is_in_time(scene, took_s)
    assert_works(scene)


def test_a_withdrawal_when_the_id_of_the_session_is_wrong(scene):
    scene.proxy.arm(TO_CLIENT, corruption.flip(117), length=CONNECTED_BYTES)
    forget_session(scene.zk.client)
    assert scene.registration.withdraw(20)
    assert not scene.witness.exists(NODE)
    scene.registration.restore(20)
    wait_for(scene.is_right)
    assert_works(scene)


@pytest.mark.parametrize('owner', [bytes(8), b'\1', bytes(range(8))])
def test_a_withdrawal_when_the_owner_of_the_node_is_wrong(scene, owner):
    scene.proxy.arm(TO_CLIENT, corruption.overwrite(BODY + OWNER, owner),
                    length=BODY + STAT_BYTES)
    assert scene.registration.withdraw(20)
    assert not scene.witness.exists(NODE)


def is_in_time(scene, took_s):
    """Return whether it took no longer than it may, on a machine at rest.

    What a machine needs now for the simplest case is some hundredths of a
    second at rest. The others have at least TURNS times as much to do.
    """
    return took_s < ALLOWED_S or took_s < ALLOWED_S + TURNS * max(
        scene.spoil('update', TO_CLIENT, bytes) for _ in range(3))


def assert_works(scene):
    """Check that the registration is kept, as before."""
    assert scene.zk.client.retry(scene.zk.exists, NODE)
    scene.spoil('delete', TO_CLIENT, bytes)
    scene.proxy.reset()
    wait_for(scene.is_right)


def test_a_later_transaction_before_the_connection_ends(scene):
    """Forget a transaction that no server has seen: all would hang up."""
    client, later = scene.zk.client, 2 ** 62 - 1

    def is_seen():
        scene.proxy.arm(TO_CLIENT, corruption.overwrite(
            ZXID, struct.pack('!q', later)))
        client.exists('/')
        scene.proxy.disarm()
        return client.last_zxid == later

    wait_for(is_seen)
    scene.proxy.reset()
    wait_for(lambda: client.last_zxid != later)
    wait_for(scene.is_right)


def test_a_bad_frame_is_logged_once_and_connections_back_off(scene, caplog):
    caplog.set_level(logging.INFO)
    connections = []
    scene.zk.client.add_listener(connections.append)
    # Each answer to the credentials is spoiled: no connection works.
    scene.proxy.arm(TO_CLIENT, corruption.overwrite(
        XID, struct.pack('!i', 7)), skip=1, count=10 ** 6)
    scene.proxy.reset()
    wait_for(lambda: connections.count('CONNECTED') == 4)
    warnings = [record for record in caplog.records
                if record.levelno >= logging.WARNING
                and record.name.startswith(('kazoo', 'zc.zk'))]
    assert len(warnings) <= 4, [each.getMessage() for each in warnings]
    assert not any(record.exc_info for record in warnings)
    scene.proxy.disarm()
    wait_for(scene.is_right)


def test_ids_that_are_always_wrong(scene, caplog):
    """Begin new sessions with pauses; the node exists, and logs are few."""
    scene.proxy.arm(TO_CLIENT, corruption.flip(117), count=10 ** 6,
                    length=CONNECTED_BYTES)
    began = time.monotonic()
    forget_session(scene.zk.client)
    wait_for(lambda: not scene.witness.exists(NODE)
             or len(scene.proxy.spoiled) == 6)
    assert scene.witness.exists(NODE)
    assert time.monotonic() - began > .2
    assert len(caplog.messages) <= 5, caplog.messages
    scene.proxy.disarm()
    wait_for(scene.is_right)
    assert_works(scene)


SPOILS = st.one_of(
    st.integers(0, 300).map(corruption.cut),
    st.integers(0, 300).map(corruption.shorten),
    st.binary(min_size=1, max_size=40).map(corruption.grow),
    st.lists(st.integers(0, 2000), min_size=1, max_size=3).map(
        lambda bits: corruption.flip(*bits)),
)


BAD_FOR_LONG = {
    'all requests': [corruption.cut(6)],
    'each second request': [corruption.cut(6), bytes],
    'each third request': [corruption.flip(70, 200), bytes, bytes],
}


@pytest.mark.clock
@pytest.mark.parametrize('session_timeout_s', [4., 10.])
@pytest.mark.parametrize('bad', BAD_FOR_LONG)
def test_a_network_that_is_bad_for_long(make_scene, bad, session_timeout_s):
    scene = make_scene(session_timeout_s)
    ways = itertools.cycle(BAD_FOR_LONG[bad])
    scene.proxy.arm(TO_SERVER, lambda frame: next(ways)(frame), count=10 ** 6)
    began = time.monotonic()
    while time.monotonic() < began + 12:
        scene.delete()
        wait_for(lambda: scene.witness.exists(NODE)
                 or time.monotonic() > began + 12)
    scene.proxy.disarm()
    wait_for(scene.is_right, 20, scene.describe)
    assert is_in_time(scene, time.monotonic() - scene.proxy.honest_since)
    assert_works(scene)


TO_THE_SERVER = {
    'node at another path': (
        'delete', MULTI, corruption.replace(b':8080', b':8081')),
    'node at another path, without an answer': (
        'delete', MULTI, lambda frame: corruption.overwrite(XID, b'\1')(
            frame.replace(b':8080', b':8081'))),
    'node at another path, with other data': (
        'delete', MULTI, lambda frame: frame.replace(b':8080', b':8081')
        .replace(b'"a":1', b'"a":3')),
    'node at another path, with other data, without an answer': (
        'delete', MULTI, lambda frame: corruption.overwrite(XID, b'\1')(
            frame.replace(b':8080', b':8081').replace(b'"a":1', b'"a":3'))),
    'sequential node, without an answer': (
        'delete', MULTI, lambda frame: corruption.overwrite(XID, b'\1')(
            frame[:-10] + b'\3' + frame[-9:])),
    'node that is not ephemeral, without an answer': (
        'delete', MULTI, lambda frame: corruption.overwrite(XID, b'\1')(
            frame[:-10] + b'\0' + frame[-9:])),
    'other data, without an answer': (
        'update', MULTI, lambda frame: corruption.overwrite(XID, b'\1')(
            frame.replace(b'"a":1', b'"a":3'))),
    'node in a folder that is not there': (
        'delete', MULTI, corruption.replace(b'/providers', b'/qroviders')),
    'node that is not ephemeral': (
        'delete', MULTI, lambda frame: frame[:-10] + b'\0' + frame[-9:]),
    'sequential node': (
        'delete', MULTI, lambda frame: frame[:-10] + b'\3' + frame[-9:]),
    'other data in a new node': (
        'delete', MULTI, corruption.replace(b'"a":1', b'"a":3')),
    'other data': ('update', MULTI, corruption.replace(b'"a":1', b'"a":3')),
    'data that is no JSON': (
        'update', MULTI, corruption.replace(b'"a":1', b'"a";1')),
    'data of another node': (
        'update', MULTI, corruption.replace(b':8080', b':8081')),
    'watch that is not set': (
        'delete', EXISTS, lambda frame: frame[:-1] + b'\0'),
    'another node is watched': (
        'delete', EXISTS, corruption.replace(b':8080', b':8081')),
}


@pytest.mark.clock
@pytest.mark.parametrize('session_timeout_s', [4., 30.])
@pytest.mark.parametrize('change', TO_THE_SERVER)
def test_a_changed_request_that_the_server_obeys(make_scene, change,
                                                 session_timeout_s):
    scene = make_scene(session_timeout_s)
    event, type_, spoil = TO_THE_SERVER[change]
    took_s = scene.spoil(event, TO_SERVER, spoil, type_=type_, wanted=1)
    assert scene.proxy.spoiled[0] != spoil(scene.proxy.spoiled[0])
    assert is_in_time(scene, took_s)
    assert_works(scene)


@pytest.mark.clock
@pytest.mark.parametrize('count', [2, 3])
def test_another_path_in_requests_in_a_row(scene, count):
    """Find the node at the wrong path, whatever happens to one question."""
    took_s = scene.spoil('delete', TO_SERVER,
                         corruption.replace(b':8080', b':8081'), 1, count,
                         wanted=count)
    assert is_in_time(scene, took_s)
    assert_works(scene)


def test_a_withdrawal_that_removes_another_node(scene):
    other = PATH + '/192.0.2.7:8081'
    scene.witness.create(other)
    scene.proxy.arm(TO_SERVER, corruption.replace(b':8080', b':8081'),
                    type_=MULTI)
    assert scene.registration.withdraw(20)
    assert not scene.witness.exists(NODE)
    assert not scene.witness.exists(other)  # it was ZooKeeper's to refuse


REQUESTS = {
    'create': lambda zk: zk.client.create('/x', b'1'),
    'delete': lambda zk: zk.client.delete('/providers/x'),
    'setData': lambda zk: zk.client.set(PATH, b'{}'),
    'exists': lambda zk: zk.client.exists(PATH),
    'getData': lambda zk: zk.client.get(PATH),
    'getChildren': lambda zk: zk.client.get_children(PATH),
    'sync': lambda zk: zk.client.sync(PATH),
    'getACL': lambda zk: zk.client.get_acls(PATH),
    'multi': lambda zk: zk.client.transaction().commit(),
    'auth': lambda zk: zk.client.add_auth('digest', 'you:secret'),
}

SWALLOWED = {
    'cut': corruption.cut(6),
    'said to be longer': lambda frame: (
        struct.pack('!i', len(frame) + 1000) + frame[4:]),
}


@pytest.mark.clock
@pytest.mark.parametrize('session_timeout_s', [4., 30.])
@pytest.mark.parametrize('way', SWALLOWED)
def test_each_request_that_the_server_waits_for(make_scene, way,
                                                session_timeout_s):
    """Give up a connection on which the server waits for more."""
    scene = make_scene(session_timeout_s)
    for name, request in REQUESTS.items():
        scene.registration.update(b=name)
        scene.proxy.arm(TO_SERVER, SWALLOWED[way])
        with suppress(KazooException):
            request(scene.zk)
        scene.delete()
        wait_for(scene.is_right, 40, scene.describe)
        took_s = time.monotonic() - scene.proxy.honest_since
        assert is_in_time(scene, took_s), name


@pytest.mark.clock
@pytest.mark.parametrize('session_timeout_s', [4., 30.])
@pytest.mark.parametrize('skip', range(4))
def test_the_first_requests_of_a_connection_are_cut(make_scene, skip,
                                                    session_timeout_s):
    """Connect, auth, and what follows."""
    scene = make_scene(session_timeout_s)
    took_s = scene.spoil('reset', TO_SERVER, corruption.cut(6), skip)
    assert is_in_time(scene, took_s)
    assert_works(scene)


@pytest.mark.clock
def test_a_ping_that_is_cut(make_scene):
    scene = make_scene(10.)
    scene.registration.withdraw()
    scene.proxy.arm(TO_SERVER, corruption.cut(6), type_=11)
    wait_for(lambda: scene.proxy.spoiled)
    wait_for(lambda: not scene.zk.client.connected)
    assert time.monotonic() - scene.proxy.honest_since < ALLOWED_S
    scene.registration.restore()
    wait_for(scene.is_right)


@pytest.mark.clock
def test_the_last_request_is_cut(scene):
    scene.proxy.arm(TO_SERVER, corruption.cut(6), type_=-11)
    began = time.monotonic()
    scene.zk.close()
    assert time.monotonic() - began < ALLOWED_S
    assert scene.proxy.spoiled
    # The session ends when its time is over.
    wait_for(lambda: not scene.witness.exists(NODE))


# kazoo's thread uses `random`, which Hypothesis takes for a strategy's.
@pytest.mark.filterwarnings('ignore:Do not use the `random` module')
@pytest.mark.clock
@pytest.mark.parametrize('session_timeout_s', [4., 10.])
@pytest.mark.parametrize('direction', [TO_CLIENT, TO_SERVER])
def test_any_frame_cut_grown_or_flipped(make_scene, direction,
                                        session_timeout_s):
    scene = make_scene(session_timeout_s)

    @settings(max_examples=settings.default.max_examples // 2, database=None,
              suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(list(EVENTS)), SPOILS, st.integers(0, 5),
           st.integers(1, 2))
    def spoil(event, spoil, skip, count):
        took_s = scene.spoil(event, direction, spoil, skip, count)
        assert is_in_time(scene, took_s)

    spoil()
    assert_works(scene)
