"""Spoil ZooKeeper's frames: the node is back once the proxy is honest."""
import logging
import struct
import time
from contextlib import suppress

import pytest
import zc.zk
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from kazoo.exceptions import NoNodeError
from zc.zk.testing.waiting import wait_for
from zc_zk_support import corruption
from zc_zk_support.corruption import TO_CLIENT
from zc_zk_support.corruption import TO_SERVER
from zc_zk_support.corruption import Corruption

PATH = '/providers'
NODE = PATH + '/192.0.2.7:8080'

#: The limit of a wait is longer than the 3 s that are allowed, for a machine
#: that stands still meanwhile.
ALLOWED_S = 3.0


class Scene:
    """A registration behind a proxy, and a witness that is not."""

    def __init__(self, zookeeper, proxy, zk, witness):
        self.zookeeper, self.proxy = zookeeper, proxy
        self.zk, self.witness = zk, witness
        self.registration = zk.register(PATH, '192.0.2.7:8080', a=1)
        wait_for(self.is_right)

    def is_right(self):
        """Return whether the session of the client has the node."""
        stat = self.witness.exists(NODE)
        client_id = self.zk.client.client_id
        return (stat is not None and client_id is not None
                and stat.ephemeralOwner == client_id[0]
                and self.registration.state == 'registered')

    def spoil(self, event, direction, spoil, skip=0, count=1):
        """Spoil frames that follow an event, and wait for the node."""
        self.proxy.arm(direction, spoil, skip, count)
        EVENTS[event](self)
        until = time.monotonic() + .5
        wait_for(lambda: not self.proxy.is_armed or time.monotonic() > until)
        self.proxy.disarm()
        honest = time.monotonic()
        wait_for(self.is_right, 20, self.describe)
        took_s = time.monotonic() - honest
        assert self.zk.is_alive()
        return took_s

    def describe(self):
        return (f'{self.registration}, {self.registration.last_error},'
                f' {self.witness.exists(NODE)}, {self.zk.client.client_id},'
                f' spoiled: {self.proxy.spoiled}')

    def delete(self):
        """Delete the node: an event, reads, a transaction, an event."""
        with suppress(NoNodeError):
            self.witness.delete(NODE)


EVENTS = {
    'delete': Scene.delete,
    'reset': lambda scene: scene.proxy.reset(),
    'update': lambda scene: scene.registration.update(b=time.monotonic()),
}


@pytest.fixture
def scene(zookeeper, client):
    witness = client()
    witness.ensure_path(PATH)
    with Corruption(zookeeper.connection_string) as proxy:
        with zc.zk.ZooKeeper(proxy.connection_string, 4.,
                             auth=[('digest', 'me:secret')]) as zk:
            yield Scene(zookeeper, proxy, zk, witness)


#: Offsets in a frame with its length: of a reply's and an event's header, and
#: of the first field behind it.
XID, ZXID, CODE, BODY = 4, 8, 16, 20

FOUND = {
    # The ways in which kazoo's thread has died.
    'password of length -1': (
        'reset', corruption.overwrite(20, struct.pack('!i', -1)), 0),
    'session read-only': ('reset', corruption.overwrite(40, b'\x01'), 0),
    'session timeout of days': (
        'reset', corruption.overwrite(8, struct.pack('!i', 2 ** 30)), 0),
    'session id of another': (
        'reset', corruption.overwrite(12, struct.pack('!q', 2 ** 40)), 0),
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
}


@pytest.mark.clock
@pytest.mark.parametrize('found', FOUND)
def test_one_bad_frame(scene, found):
    event, spoil, skip = FOUND[found]
    took_s = scene.spoil(event, TO_CLIENT, spoil, skip)
    assert scene.proxy.spoiled
    assert took_s < ALLOWED_S + scene_stood_still(scene)
    assert_works(scene)


def scene_stood_still(scene):
    """Return the seconds that the machine needs now for the simplest case."""
    return scene.spoil('delete', TO_CLIENT, bytes)


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


SPOILS = st.one_of(
    st.integers(0, 300).map(corruption.cut),
    st.integers(0, 300).map(corruption.shorten),
    st.binary(min_size=1, max_size=40).map(corruption.grow),
    st.lists(st.integers(0, 2000), min_size=1, max_size=3).map(
        lambda bits: corruption.flip(*bits)),
)


# kazoo's thread uses `random`, which Hypothesis takes for a strategy's.
@pytest.mark.filterwarnings('ignore:Do not use the `random` module')
@pytest.mark.clock
@pytest.mark.parametrize('direction', [TO_CLIENT, TO_SERVER])
def test_any_frame_cut_grown_or_flipped(scene, direction):
    took = []

    @settings(max_examples=25, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(list(EVENTS)), SPOILS, st.integers(0, 5),
           st.integers(1, 2))
    def spoil(event, spoil, skip, count):
        took.append(scene.spoil(event, direction, spoil, skip, count))
        if direction == TO_CLIENT:
            # A request that the server has not understood is like a server
            # that does not answer: it takes a heartbeat to notice.
            assert took[-1] < 2 * ALLOWED_S

    spoil()
    assert_works(scene)
