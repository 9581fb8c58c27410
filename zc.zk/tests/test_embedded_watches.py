"""Test which events watches send, to which clients, when and how often."""
import struct

import pytest
from zc_zk_support import versions
from zc_zk_support import wire
from zc_zk_support.wire import Event
from zc_zk_support.wire import Wire

CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4
ONCE, CHILD, DATA, ANY = 0, 1, 2, 3
PERSISTENT, RECURSIVE = 0, 1


@pytest.fixture
def other(zookeeper):
    with Wire(zookeeper.hosts) as connection:
        yield connection.start()


def create(connection, path, data=b''):
    return connection.request(wire.CREATE, wire.creation(path, data)).zxid


def change(connection, path):
    return connection.request(wire.SET_DATA, wire.setting(path, b'!')).zxid


def delete(connection, path):
    return connection.request(wire.DELETE, wire.versioned(path)).zxid


def watch(connection, op, path):
    return connection.request(op, wire.watched(path, True)).code


def events(connection):
    """Return the events so far: they come before the reply to a sync."""
    connection.request(wire.SYNC, wire.text('/'))
    arrived, connection.events = connection.events, []
    return arrived


def test_an_event_comes_before_the_reply_that_follows_it(raw):
    path = f'{raw.root}/a'
    create(raw, path)
    watch(raw, wire.GET_DATA, path)
    raw.put(wire.SET_DATA, wire.setting(path, b'new'), xid=77)
    frames = [raw.receive(), raw.receive()]
    assert [struct.unpack_from('>i', frame)[0] for frame in frames] == [
        -1, 77]


def test_the_event_comes_before_the_new_state(raw, other):
    path = f'{raw.root}/a'
    create(raw, path)
    watch(other, wire.GET_DATA, path)
    change(raw, path)
    other.request(wire.SYNC, wire.text(path))
    reply = other.request(wire.GET_DATA, wire.watched(path))
    assert reply.body.startswith(wire.buffer(b'!'))
    assert other.events == [Event(CHANGED, path)]


def test_a_data_watch_sends_one_event(raw):
    path = f'{raw.root}/a'
    create(raw, path)
    watch(raw, wire.GET_DATA, path)
    watch(raw, wire.GET_DATA, path)
    watch(raw, wire.EXISTS, path)
    change(raw, path)
    change(raw, path)
    assert events(raw) == [Event(CHANGED, path)]


def test_an_exists_watch_waits_for_the_node(raw):
    path = f'{raw.root}/a'
    assert watch(raw, wire.EXISTS, path) == -101
    create(raw, path)
    change(raw, path)
    assert events(raw) == [Event(CREATED, path)]


@pytest.mark.parametrize('op', [
    wire.GET_DATA, wire.GET_CHILDREN, wire.GET_CHILDREN2])
def test_a_refused_read_sets_no_watch(raw, op):
    path = f'{raw.root}/a'
    assert watch(raw, op, path) == -101
    create(raw, path)
    create(raw, f'{path}/b')
    assert events(raw) == []


@pytest.mark.parametrize('op', [wire.GET_CHILDREN, wire.GET_CHILDREN2])
def test_a_child_watch_hears_of_children_alone(raw, op):
    path = f'{raw.root}/a'
    create(raw, path)
    watch(raw, op, path)
    change(raw, path)
    assert events(raw) == []
    create(raw, f'{path}/b')
    change(raw, f'{path}/b')
    create(raw, f'{path}/c')
    assert events(raw) == [Event(CHILDREN, path)]
    watch(raw, op, path)
    create(raw, f'{path}/c/d')
    assert events(raw) == []
    delete(raw, f'{path}/b')
    assert events(raw) == [Event(CHILDREN, path)]


def test_a_deleted_node_sends_one_event_to_each_client(raw, other):
    path = f'{raw.root}/a'
    create(raw, path)
    for connection in (raw, other):
        watch(connection, wire.GET_DATA, path)
        watch(connection, wire.GET_CHILDREN, path)
    watch(other, wire.GET_CHILDREN, raw.root)
    delete(raw, path)
    assert events(raw) == [Event(DELETED, path)]
    assert events(other) == [
        Event(DELETED, path), Event(CHILDREN, raw.root)]


def test_the_end_of_a_session_sends_events_of_its_nodes(raw, other):
    path = f'{raw.root}/a'
    other.request(wire.CREATE, wire.creation(path, flags=wire.EPHEMERAL))
    watch(raw, wire.GET_DATA, path)
    watch(raw, wire.GET_CHILDREN, raw.root)
    other.request(wire.CLOSE)
    assert [raw.event(), raw.event()] == [
        Event(DELETED, path), Event(CHILDREN, raw.root)]


def test_a_multi_sends_an_event_for_each_change(raw):
    path = f'{raw.root}/a'
    watch(raw, wire.EXISTS, path)
    watch(raw, wire.GET_CHILDREN, raw.root)
    raw.request(wire.MULTI, wire.parts(
        (wire.CREATE, wire.creation(path)),
        (wire.SET_DATA, wire.setting(path, b'x'))))
    assert events(raw) == [Event(CREATED, path), Event(CHILDREN, raw.root)]


def test_watches_go_with_their_connection(raw, other, zookeeper):
    watch(other, wire.GET_CHILDREN, raw.root)
    other.socket.close()
    create(raw, f'{raw.root}/a')
    with Wire(zookeeper.hosts) as again:
        again.start(other.session, other.password)
        assert again.timeout
        create(raw, f'{raw.root}/b')
        assert events(again) == []


# setWatches, by which a client sets its watches after a reconnect


def set_again(connection, since, data=(), exist=(), child=()):
    reply = connection.request(
        wire.SET_WATCHES,
        struct.pack('>q', since) + wire.texts(*data) + wire.texts(*exist)
        + wire.texts(*child), xid=-8)
    assert (reply.xid, reply.code, reply.body) == (-8, 0, b'')


def test_set_watches_sends_missed_events(raw):
    root = raw.root
    for name in ('changed', 'deleted', 'parent', 'gone'):
        create(raw, f'{root}/{name}')
    since = create(raw, f'{root}/last')
    change(raw, f'{root}/changed')
    delete(raw, f'{root}/deleted')
    create(raw, f'{root}/new')
    create(raw, f'{root}/parent/child')
    delete(raw, f'{root}/gone')
    set_again(
        raw, since, data=[f'{root}/changed', f'{root}/deleted'],
        exist=[f'{root}/new'], child=[f'{root}/parent', f'{root}/gone'])
    expected = [
        Event(CHANGED, f'{root}/changed'), Event(DELETED, f'{root}/deleted'),
        Event(CREATED, f'{root}/new'), Event(CHILDREN, f'{root}/parent'),
        Event(DELETED, f'{root}/gone')]
    assert raw.events == expected
    raw.events.clear()
    change(raw, f'{root}/changed')
    delete(raw, f'{root}/new')
    assert events(raw) == []


def test_what_was_not_missed_is_watched_again(raw):
    root = raw.root
    create(raw, f'{root}/data')
    create(raw, f'{root}/parent')
    since = create(raw, f'{root}/parent/child')
    set_again(
        raw, since, data=[f'{root}/data'], exist=[f'{root}/none'],
        child=[f'{root}/parent'])
    assert raw.events == []
    change(raw, f'{root}/data')
    create(raw, f'{root}/none')
    delete(raw, f'{root}/parent/child')
    assert events(raw) == [
        Event(CHANGED, f'{root}/data'), Event(CREATED, f'{root}/none'),
        Event(CHILDREN, f'{root}/parent')]


def test_persistent_watches_are_set_again_too(raw):
    root = raw.root
    reply = raw.request(
        wire.SET_WATCHES2, struct.pack('>q', 0) + wire.texts() * 3
        + wire.texts(f'{root}/one') + wire.texts(f'{root}/all'))
    assert (reply.code, raw.events) == (0, [])
    for path in ('one', 'one/a', 'all', 'all/a'):
        create(raw, f'{root}/{path}')
    assert events(raw) == [
        Event(CREATED, f'{root}/one'), Event(CHILDREN, f'{root}/one'),
        Event(CREATED, f'{root}/all'), Event(CREATED, f'{root}/all/a')]


# addWatch and removeWatches


def add(connection, path, mode):
    reply = connection.request(
        wire.ADD_WATCH, wire.text(path) + struct.pack('>i', mode))
    assert (reply.code, reply.body) == (0, struct.pack('>i', 0))


def remove(connection, path, kind, op=wire.REMOVE_WATCHES):
    return connection.request(
        op, wire.text(path) + struct.pack('>i', kind)).code


def test_a_persistent_watch_hears_of_everything_each_time(raw):
    path = f'{raw.root}/a'
    add(raw, path, PERSISTENT)
    create(raw, path)
    change(raw, path)
    create(raw, f'{path}/b')
    change(raw, f'{path}/b')
    delete(raw, f'{path}/b')
    delete(raw, path)
    assert events(raw) == [
        Event(kind, path) for kind in
        (CREATED, CHANGED, CHILDREN, CHILDREN, DELETED)]


def test_a_recursive_watch_hears_of_everything_below(raw):
    path = f'{raw.root}/a'
    add(raw, path, RECURSIVE)
    create(raw, path)
    create(raw, f'{path}/b')
    change(raw, f'{path}/b')
    delete(raw, f'{path}/b')
    create(raw, f'{raw.root}/ab')
    assert events(raw) == [
        Event(CREATED, path), Event(CREATED, f'{path}/b'),
        Event(CHANGED, f'{path}/b'), Event(DELETED, f'{path}/b')]


def test_several_watches_of_a_client_send_one_event(raw):
    path = f'{raw.root}/a'
    create(raw, path)
    add(raw, path, PERSISTENT)
    watch(raw, wire.GET_DATA, path)
    change(raw, path)
    assert events(raw) == [Event(CHANGED, path)]


def test_watches_of_all_kinds_on_one_path(raw, zookeeper):
    """Older servers keep only the last of them."""
    path = f'{raw.root}/a'
    add(raw, path, PERSISTENT)
    add(raw, path, RECURSIVE)
    assert watch(raw, wire.EXISTS, path) == -101
    create(raw, path)
    create(raw, f'{path}/b')
    change(raw, path)
    arrived = events(raw)
    if versions.does(zookeeper, *versions.WATCHES_ADD_UP):
        assert arrived == [
            Event(CREATED, path), Event(CREATED, f'{path}/b'),
            Event(CHILDREN, path), Event(CHANGED, path)]
    else:
        assert Event(CHILDREN, path) not in arrived


def test_watches_are_removed_by_their_kinds(raw, zookeeper):
    if not versions.does(zookeeper, *versions.WATCHES_ADD_UP):
        # The type ANY removes watches of all kinds.
        for kind in range(4, 6):
            assert remove(raw, raw.root, kind) == -5
        return
    path = f'{raw.root}/a'
    create(raw, path)
    watch(raw, wire.GET_DATA, path)
    watch(raw, wire.GET_CHILDREN, path)
    add(raw, path, PERSISTENT)
    add(raw, path, RECURSIVE)
    for kind in range(1, 6):
        assert remove(raw, path, kind, wire.CHECK_WATCHES) == 0
    for kind in CHILD, DATA, 4, 5:
        assert remove(raw, path, kind) == 0
        assert remove(raw, path, kind) == -121
    create(raw, f'{path}/b')
    change(raw, path)
    assert events(raw) == []


@pytest.mark.parametrize('mode', [PERSISTENT, RECURSIVE])
def test_persistent_watches_send_no_events_of_unreadable_nodes(raw, mode):
    """Servers without it have CVE-2024-23944."""
    path = f'{raw.root}/hidden'
    add(raw, path, mode)
    raw.request(wire.CREATE, wire.creation(
        path, acl=[(30, 'world', 'anyone')]))
    raw.request(wire.CREATE, wire.creation(f'{path}/x', acl=[
        (30, 'world', 'anyone')]))
    change(raw, path)
    assert events(raw) == []


def test_events_tell_the_zxid_of_the_change(raw, zookeeper):
    path = f'{raw.root}/a'
    watch(raw, wire.EXISTS, path)
    raw.put(wire.CREATE, wire.creation(path))
    event, reply = raw.receive(), raw.receive()
    zxid = wire.HEADER.unpack_from(reply)[1]
    tells = versions.does(zookeeper, *versions.EVENTS_TELL_ZXIDS)
    assert wire.HEADER.unpack_from(event) == (-1, zxid if tells else -1, 0)


def test_events_that_were_missed_tell_no_zxid(raw):
    path = f'{raw.root}/a'
    create(raw, path)
    raw.put(wire.SET_WATCHES, struct.pack('>q', 0) + wire.texts(path)
            + wire.texts() * 2, xid=-8)
    assert wire.HEADER.unpack_from(raw.receive()) == (-1, -1, 0)


def test_watches_can_be_removed(raw):
    path = f'{raw.root}/a'
    create(raw, path)
    watch(raw, wire.GET_DATA, path)
    watch(raw, wire.GET_CHILDREN, path)
    assert remove(raw, path, DATA, wire.CHECK_WATCHES) == 0
    assert remove(raw, path, DATA) == 0
    assert remove(raw, path, DATA) == -121
    assert remove(raw, path, DATA, wire.CHECK_WATCHES) == -121
    change(raw, path)
    assert events(raw) == []
    assert remove(raw, path, ANY) == 0
    create(raw, f'{path}/b')
    assert events(raw) == []
    assert remove(raw, path, ANY) == -121


@pytest.mark.parametrize('mode', [PERSISTENT, RECURSIVE])
def test_persistent_watches_can_be_removed(raw, mode):
    path = f'{raw.root}/a'
    add(raw, path, mode)
    assert remove(raw, path, ANY) == 0
    create(raw, path)
    assert events(raw) == []


def test_a_watch_of_another_client_cannot_be_removed(raw, other):
    path = f'{raw.root}/a'
    create(raw, path)
    watch(raw, wire.GET_DATA, path)
    assert remove(other, path, ANY) == -121
    change(other, path)
    assert events(raw) == [Event(CHANGED, path)]
