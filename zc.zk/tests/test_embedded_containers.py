"""Container nodes, and nodes with a time to live, as Apache has them."""
import struct

import pytest
from zc.zk.embedded import Server
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.four_letter_words import four_letter_word
from zc.zk.testing.waiting import wait_for
from zc_zk_support import wire
from zc_zk_support.wire import Event
from zc_zk_support.wire import Wire

CONTAINER, TTL, TTL_SEQUENTIAL = 4, 5, 6
DELETED, CHILDREN = 2, 4


def make_container(raw, path):
    reply = raw.request(wire.CREATE_CONTAINER,
                        wire.creation(path, b'x', flags=CONTAINER))
    assert reply.code == 0
    assert reply.body.startswith(wire.text(path))
    return wire.STAT.unpack(reply.body[-wire.STAT.size:])


def exists(raw, path, watch=False):
    code = raw.request(wire.EXISTS, wire.watched(path, watch)).code
    assert code in (0, -101)
    return not code


def test_a_container_goes_some_time_after_its_last_child(raw):
    path, child = f'{raw.root}/c', f'{raw.root}/c/child'
    assert make_container(raw, path)[7] == 0  # no owner is shown
    for _ in range(2):  # the first to be there again in time
        assert raw.request(wire.CREATE, wire.creation(child)).code == 0
        assert raw.request(wire.DELETE, wire.versioned(child)).code == 0
    assert exists(raw, path, True)
    raw.request(wire.GET_CHILDREN, wire.watched(raw.root, True))
    wait_for(lambda: not exists(raw, path))
    assert raw.events == [Event(DELETED, path), Event(CHILDREN, raw.root)]


def test_containers_in_containers(raw):
    outer, inner = f'{raw.root}/o', f'{raw.root}/o/i'
    make_container(raw, outer)
    make_container(raw, inner)
    child = inner + '/e'
    assert raw.request(
        wire.CREATE, wire.creation(child, flags=1)).code == 0
    assert raw.request(wire.DELETE, wire.versioned(child)).code == 0
    wait_for(lambda: not exists(raw, outer))
    assert not exists(raw, inner)


def test_a_container_that_never_had_a_child_stays(raw):
    """Have it outlive another one, which does go."""
    make_container(raw, f'{raw.root}/unused')
    make_container(raw, f'{raw.root}/used')
    child = f'{raw.root}/used/a'
    raw.request(wire.CREATE, wire.creation(child))
    raw.request(wire.DELETE, wire.versioned(child))
    wait_for(lambda: not exists(raw, f'{raw.root}/used'))
    assert exists(raw, f'{raw.root}/unused')


def test_a_container_may_be_changed_and_deleted(raw):
    path = f'{raw.root}/c'
    make_container(raw, path)
    assert raw.request(wire.CREATE_CONTAINER, wire.creation(
        path, flags=CONTAINER)).code == -110
    assert raw.request(wire.SET_DATA, wire.setting(path, b'y')).code == 0
    assert raw.request(wire.DELETE, wire.versioned(path, 1)).code == 0


def test_a_container_in_a_multi(raw):
    path = f'{raw.root}/m'
    reply = raw.request(wire.MULTI, wire.parts(
        (wire.CREATE_CONTAINER, wire.creation(path, flags=CONTAINER)),
        (wire.CREATE, wire.creation(path + '/a')),
        (wire.DELETE, wire.versioned(path + '/a'))))
    assert reply.code == 0
    wait_for(lambda: not exists(raw, path))


@pytest.mark.parametrize('flags', [TTL, TTL_SEQUENTIAL])
def test_a_time_to_live_is_refused(raw, flags):
    """As by default: see zookeeper.extendedTypesEnabled."""
    body = wire.creation(f'{raw.root}/t', flags=flags)
    ttl = struct.pack('>q', 1000)
    assert raw.request(wire.CREATE_TTL, body + ttl).code == -6
    assert raw.request(wire.CREATE2, body).code == -6
    assert not exists(raw, f'{raw.root}/t')  # the connection goes on


def test_containers_are_kept_in_the_data_file(tmp_path):
    data = tmp_path / 'data'
    with Server(data=data) as server, Wire(server.connection_string) as raw:
        raw.start()
        make_container(raw, '/c')
        raw.request(wire.CREATE, wire.creation('/c/child'))
    for _ in range(2):  # as written, and as compacted
        with Server(data=data) as server:
            client = start_client(server.connection_string)
            assert client.get_children('/c') == ['child']
            stop_client(client)
    with Server(data=data, tick=10) as server:
        client = start_client(server.connection_string)
        client.delete('/c/child')
        wait_for(lambda: not client.exists('/c'))
        stop_client(client)
    with Server(data=data) as server:
        client = start_client(server.connection_string)
        assert not client.exists('/c')
        stop_client(client)


def test_latency(raw):
    """Have the line where Apache has it, with numbers that fit."""
    raw.request(wire.SYNC, wire.text('/'))
    address = raw.socket.getpeername()
    lines = four_letter_word(address, 'srvr', 10).splitlines()
    assert lines[1].startswith('Latency min/avg/max: ')
    least, average, most = map(float, lines[1].split(': ')[1].split('/'))
    assert least <= average <= most
    figures = dict(line.split('\t') for line in four_letter_word(
        address, 'mntr', 10).splitlines() if '\t' in line)
    for name in 'zk_min_latency', 'zk_avg_latency', 'zk_max_latency':
        assert float(figures[name]) >= 0
