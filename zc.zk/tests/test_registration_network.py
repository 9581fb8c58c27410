"""Registrations behind a network that fails."""
import contextlib
import logging
import threading
import time

import pytest
import zc.zk
from kazoo.client import KazooState
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import QuotaExceededError
from zc.zk.registration.ephemerals import Ephemerals
from zc.zk.testing.proxy import Proxy
from zc.zk.testing.waiting import wait_for
from zc_zk_support.frames import Frames
from zc_zk_support.registrations import is_back
from zc_zk_support.registrations import note_states

PATH = '/providers'
NODE = PATH + '/192.0.2.7:8080'


@pytest.fixture
def proxy(zookeeper):
    with Proxy(zookeeper.hosts) as proxy:
        yield proxy


@pytest.fixture
def connect(zookeeper, proxy):
    def connect(session_timeout):
        return stack.enter_context(zc.zk.ZooKeeper(
            proxy.connection_string + zookeeper.chroot, session_timeout,
            wait=True))

    with contextlib.ExitStack() as stack:
        yield connect


@pytest.fixture
def zk(connect):
    return connect(.6)


@pytest.fixture
def witness(client):
    witness = client()
    witness.create(PATH)
    return witness


FAULTS = {
    'drop': lambda proxy: proxy.drop(),
    'stall': lambda proxy: proxy.stall(),
    'to server': lambda proxy: proxy.half_open('to_server'),
    'to client': lambda proxy: proxy.half_open('to_client'),
}


def is_right(zk, witness):
    """Return whether our session has the node, and there is no other."""
    try:
        data, stat = witness.get(NODE)
    except NoNodeError:
        return False
    # kazoo has no number between two sessions.
    ours = zk.client.client_id
    return (zc.zk.decode(data)['a'] == 1
            and ours is not None and stat.ephemeralOwner == ours[0]
            and witness.get_children(PATH) == ['192.0.2.7:8080'])


def wait_registered(registration, zk, witness, states):
    """Wait until the state is ``registered``, and check that it is true."""
    while True:
        wait_for(lambda: registration.state == 'registered')
        count = len(states)
        if is_right(zk, witness):
            return
        # The machine stood still for longer than the session time-out; the
        # client's state will tell.
        wait_for(lambda: len(states) > count)  # noqa: B023


@pytest.mark.parametrize('until', ['suspended', 'lost'])
@pytest.mark.parametrize('fault', FAULTS)
def test_network_cut(witness, zk, proxy, fault, until):
    """Cut the network for less and for more than the session time-out."""
    registration = zk.register(PATH, '192.0.2.7:8080', a=1)
    states = []
    zk.client.add_listener(states.append)
    FAULTS[fault](proxy)
    if until == 'suspended':
        # The registration may have left this state before it is asked.
        wait_for(lambda: KazooState.SUSPENDED in states, interval=.001)
    else:
        wait_for(lambda: registration.state == until)
    proxy.heal()
    healed = time.monotonic()
    wait_registered(registration, zk, witness, states)
    assert time.monotonic() - healed < 8
    # The node is watched again:
    with contextlib.suppress(NoNodeError):
        witness.delete(NODE)
    wait_for(lambda: is_right(zk, witness)
             and registration.state == 'registered')


def test_a_reset_connection_changes_nothing(witness, connect, proxy):
    zk = connect(10.)
    registration = zk.register(PATH, '192.0.2.7:8080')
    created = witness.exists(NODE).czxid
    session = zk.client.client_id[0]
    states = []
    zk.client.add_listener(lambda state: states.append(registration.state))
    proxy.reset()
    wait_for(lambda: len(states) == 2)
    assert states == ['suspended', 'registered']
    assert registration.reregistered == 0
    assert zk.client.client_id[0] == session
    assert witness.exists(NODE).czxid == created


def test_a_session_that_survives_is_watched_again(
        witness, connect, proxy, caplog):
    zk = connect(10.)
    registration = zk.register(PATH, '192.0.2.7:8080')
    created = zk.exists(NODE).czxid
    states = note_states(zk.client)
    for count in range(1, 4):
        proxy.reset()
        wait_for(lambda: states.count(KazooState.CONNECTED) == count)  # noqa: B023
    witness.delete(NODE)
    wait_for(lambda: is_back(registration))
    assert states == [KazooState.SUSPENDED, KazooState.CONNECTED] * 3
    assert zk.exists(NODE).czxid > created
    [warning] = [record.message for record in caplog.records
                 if record.name == 'zc.zk.registration'
                 and record.levelno == logging.WARNING]
    assert warning == f'{NODE} was deleted by somebody; registered again'


def test_withdrawn_while_the_network_is_cut(witness, zk, proxy):
    registration = zk.register(PATH, '192.0.2.7:8080')
    proxy.drop()
    started = time.monotonic()
    assert not registration.withdraw(.1)
    assert time.monotonic() - started < 8
    proxy.heal()
    wait_for(lambda: not witness.exists(NODE))


def test_an_answer_that_is_lost_changes_nothing(
        zookeeper, witness, proxy, caplog, monkeypatch):
    """Cut the connection after the node is created, before the answer."""
    caplog.set_level(logging.INFO, 'zc.zk')
    change = Ephemerals.commit

    def cut_off(*arguments):
        monkeypatch.undo()
        proxy.half_open('to_server')
        change(*arguments)

    def register():
        registrations.append(zk.register(PATH, '192.0.2.7:8080'))

    registrations = []
    with zc.zk.ZooKeeper(proxy.connection_string + zookeeper.chroot,
                         10.) as zk:
        monkeypatch.setattr(Ephemerals, 'commit', cut_off)
        thread = threading.Thread(target=register)
        thread.start()
        created = wait_for(lambda: witness.exists(NODE)).czxid
        proxy.drop()
        proxy.heal()
        thread.join()
        registration, = registrations
        assert registration.state == 'registered'
        assert registration.reregistered == 0
        assert witness.exists(NODE).czxid == created
        assert caplog.messages.count(f'Registered {NODE}') == 1


THROTTLED, QUOTA_EXCEEDED = -127, -125
EXISTS, MULTI = 3, 14


@pytest.mark.parametrize('type_', [EXISTS, MULTI])
def test_servers_with_too_much_to_do(zookeeper, witness, type_):
    """Have a server refuse requests with THROTTLEDOP, which is transient."""
    codes = [THROTTLED] * 2 if type_ == EXISTS else []
    with Frames(zookeeper.connection_string,
                on_request=lambda type: codes.pop() if codes and type == type_
                else None) as frames:
        with zc.zk.ZooKeeper(frames.connection_string, 5.) as zk:
            assert not codes
            codes += [THROTTLED] * 3
            registration = zk.register(PATH, '192.0.2.7:8080')
            assert not codes
            assert registration.state == 'registered'
            codes += [THROTTLED] * 3
            witness.delete(NODE)
            wait_for(lambda: registration.reregistered == 1)
            # An attempt that began before the deletion may succeed unrefused.
            wait_for(lambda: not codes)
            assert witness.exists(NODE)


def test_a_quota_that_is_exceeded(zookeeper, witness):
    with Frames(zookeeper.connection_string, on_request=lambda type_:
                QUOTA_EXCEEDED if type_ == MULTI else None) as frames:
        with zc.zk.ZooKeeper(frames.connection_string, 5.) as zk:
            with pytest.raises(QuotaExceededError):
                zk.register(PATH, '192.0.2.7:8080')
            assert zk.exists(PATH)  # the connection goes on
