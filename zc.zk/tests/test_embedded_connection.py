"""Test bytes that no client should send, and clients that do not read."""
import os
import random
import resource
import struct
from contextlib import ExitStack

import pytest
from kazoo.exceptions import ConnectionLoss
from zc.zk.testing.four_letter_words import four_letter_word
from zc.zk.testing.waiting import wait_for
from zc_zk_support import wire
from zc_zk_support.wire import Wire

MAX_FRAME = 0xfffff
# Apache ZooKeeper is slower, and is not what is tested here.
CLIENTS = {'embedded': 1000, 'apache': 100}


def is_serving(zookeeper):
    with Wire(zookeeper.hosts) as connection:
        connection.start()
        return connection.request(wire.SYNC, wire.text('/')).code == 0


@pytest.mark.parametrize('data', [
    b'GET / HTTP/1.1\r\n\r\n',
    b'\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',  # a TLS hello
    b'\xff\xff\xff\xff',
    b'\x7f\xff\xff\xff',
    struct.pack('>i', MAX_FRAME + 1),
    struct.pack('>i', 0),
    wire.buffer(b'\0'),
    wire.buffer(b'\xff' * 11),
    wire.buffer(struct.pack('>iqiqi', 0, 0, 4000, 0, 2**31 - 1)),
], ids=['http', 'tls', 'negative', 'huge', 'oversize', 'empty', 'short',
        'truncated', 'password'])
def test_garbage_instead_of_a_handshake_closes(zookeeper, data):
    with Wire(zookeeper.hosts) as connection:
        connection.socket.sendall(data)
        assert connection.is_closed()
    assert is_serving(zookeeper)


@pytest.mark.parametrize('data', [
    struct.pack('>i', MAX_FRAME + 1),
    struct.pack('>i', -1),
    struct.pack('>i', 0),
    wire.buffer(b'\0\0\0\1'),
], ids=['oversize', 'negative', 'empty', 'truncated'])
def test_garbage_in_a_session_closes_the_connection_alone(
        raw, zookeeper, data):
    raw.socket.sendall(data)
    assert raw.is_closed()
    with Wire(zookeeper.hosts) as again:
        assert again.start(raw.session, raw.password).timeout


def test_random_bytes_do_no_harm(zookeeper):
    source = random.Random(1)
    for _ in range(100):
        with Wire(zookeeper.hosts) as connection:
            connection.start()
            body = source.randbytes(source.randrange(60))
            op = source.choice([*range(1, 23), *range(100, 108)])
            connection.send(struct.pack('>ii', 1, op) + body)
    assert is_serving(zookeeper)


def test_every_truncation_of_a_request_is_survived(raw):
    body = wire.creation(f'{raw.root}/a', b'data')
    for size in range(len(body)):
        assert raw.request(wire.CREATE, body[:size]).code < 0
    assert raw.request(wire.CREATE, body).code == 0


def test_huge_counts_are_not_believed(raw):
    acl = struct.pack('>i', 2**31 - 1)
    body = wire.text(f'{raw.root}/a') + wire.buffer(b'') + acl
    assert raw.request(wire.CREATE, body).code == -5
    watches = struct.pack('>qi', 0, 2**31 - 1)
    assert raw.request(wire.SET_WATCHES, watches).code == -5


def test_the_largest_frame_passes_and_one_byte_more_does_not(raw):
    path = f'{raw.root}/big'
    empty = 8 + len(wire.creation(path))
    data = os.urandom(MAX_FRAME - empty)
    assert raw.request(wire.CREATE, wire.creation(path, data)).code == 0
    reply = raw.request(wire.GET_DATA, wire.watched(path))
    assert reply.body[:-wire.STAT.size] == wire.buffer(data)
    raw.socket.sendall(struct.pack('>i', MAX_FRAME + 1))
    assert raw.is_closed()


def test_kazoo_loses_its_connection_over_too_much_data(zookeeper, client):
    kazoo = client()
    kazoo.create('/a')
    with pytest.raises(ConnectionLoss):
        kazoo.set('/a', bytes(MAX_FRAME + 1))
    wait_for(lambda: kazoo.connected)
    assert kazoo.retry(kazoo.get, '/a')[0] == b''


def test_a_frame_may_come_byte_by_byte(raw):
    frame = wire.buffer(
        struct.pack('>ii', 5, wire.SYNC) + wire.text(raw.root))
    for number in range(len(frame)):
        raw.socket.sendall(frame[number:number + 1])
    assert raw.reply()[::2] == (5, 0)


def test_many_frames_may_come_at_once(raw):
    frame = wire.buffer(
        struct.pack('>ii', 5, wire.SYNC) + wire.text(raw.root))
    raw.socket.sendall(frame * 1000)
    assert {raw.reply().code for _ in range(1000)} == {0}


def test_a_client_that_reads_late_gets_all_answers(raw, zookeeper):
    path = f'{raw.root}/big'
    data = bytes(500_000)
    assert raw.request(wire.CREATE, wire.creation(path, data)).code == 0
    for number in range(100):
        raw.put(wire.GET_DATA, wire.watched(path), xid=number + 1000)
    assert is_serving(zookeeper)
    replies = [raw.reply() for _ in range(100)]
    assert [reply.xid for reply in replies] == list(range(1000, 1100))
    assert {len(reply.body) for reply in replies} == {
        4 + len(data) + wire.STAT.size}


@pytest.mark.parametrize('word,answer', [
    (b'ruok', b'imok'), (b'srvr', b'Mode: standalone\n'),
    (b'stat', b'Mode: standalone\n'), (b'isro', b'rw'),
    (b'mntr', b'zk_server_state\tstandalone\n'), (b'conf', b'tickTime='),
    (b'cons', b'127.0.0.1'), (b'envi', b'zookeeper.version=')])
def test_four_letter_words_are_answered(zookeeper, word, answer):
    with Wire(zookeeper.hosts) as connection:
        connection.socket.sendall(word)
        received = b''
        while chunk := connection.socket.recv(1 << 16):
            received += chunk
    assert answer in received


@pytest.mark.parametrize('word, before', [
    ('srvr', 'Zookeeper version: '), ('envi', '\nzookeeper.version=')])
def test_the_version_is_shown(zookeeper, word, before):
    host, _, port = zookeeper.hosts.partition(':')
    received = four_letter_word((host, int(port)), word)
    assert before + '.'.join(map(str, zookeeper.version)) + '-' in received


@pytest.fixture
def descriptors():
    """Raise the limit of descriptors for a thousand clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS['embedded'] + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f'only {hard} file descriptors are allowed')
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_clients_are_served(zookeeper, descriptors):
    count = CLIENTS[zookeeper.name]
    parent = zookeeper.chroot
    with ExitStack() as stack:
        clients = [stack.enter_context(Wire(zookeeper.hosts, timeout=30))
                   for _ in range(count)]
        for connection in clients:
            connection.hello(timeout=60_000)
        for connection in clients:
            connection.welcome()
        for number, connection in enumerate(clients):
            connection.put(wire.CREATE, wire.creation(
                f'{parent}/{number}', flags=wire.EPHEMERAL))
        assert {connection.reply().code for connection in clients} == {0}
        for connection in clients:
            connection.put(wire.EXISTS, wire.watched(parent))
        assert {wire.STAT.unpack(connection.reply().body)[9]
                for connection in clients} == {count}
        for connection in clients:
            connection.put(wire.CLOSE)
        assert {connection.reply().code for connection in clients} == {0}
