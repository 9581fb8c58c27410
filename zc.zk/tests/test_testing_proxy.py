"""Test each fault of the proxy from both ends of a connection."""
import socket

import pytest
from zc.zk.testing.proxy import Proxy
from zc.zk.testing.waiting import wait_for

#: The seconds to listen for bytes that must not arrive.
SILENCE = .15


@pytest.fixture
def target():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.settimeout(5)
        yield listener


@pytest.fixture
def proxy(target, no_leaks):
    with Proxy(target.getsockname()) as proxy:
        yield proxy


@pytest.fixture
def connect(target, proxy):
    """Return a function that connects by the proxy, and returns both ends."""
    ends = []

    def connect():
        client = socket.create_connection(proxy.address, 5)
        ends.append(client)
        server = target.accept()[0]
        ends.append(server)
        server.settimeout(5)
        return client, server

    yield connect
    for end in ends:
        end.close()


def is_silent(end):
    end.settimeout(SILENCE)
    try:
        end.recv(1)
    except TimeoutError:
        end.settimeout(5)
        return True
    return False


def receive(end, size):
    data = b''
    while len(data) < size and (chunk := end.recv(size - len(data))):
        data += chunk
    return data


def test_forwards_both_ways(connect):
    client, server = connect()
    client.sendall(b'question')
    assert receive(server, 8) == b'question'
    server.sendall(b'answer')
    assert receive(client, 6) == b'answer'


def test_forwards_more_than_fits_in_any_buffer(connect):
    client, server = connect()
    data = bytes(range(256)) * 40_000
    client.settimeout(.01)
    received = sent = 0
    while received < len(data):
        try:
            sent += client.send(data[sent:]) if sent < len(data) else 0
        except TimeoutError:
            pass
        chunk = server.recv(1 << 20)
        assert chunk == data[received:received + len(chunk)]
        received += len(chunk)


def test_each_connection_is_its_own(connect, proxy):
    one, two = connect(), connect()
    one[0].sendall(b'1')
    two[0].sendall(b'2')
    assert (receive(one[1], 1), receive(two[1], 1)) == (b'1', b'2')
    assert proxy.connections == 2


def test_passes_the_end_of_one_direction_on(connect, proxy):
    client, server = connect()
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b''
    server.sendall(b'still')
    assert receive(client, 5) == b'still'
    server.close()
    assert client.recv(1) == b''
    wait_for(lambda: not proxy.connections, message='no connection')


def test_drop_resets_and_refuses(connect, proxy):
    client, server = connect()
    proxy.drop()
    for end in client, server:
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(proxy.address, 5)
    proxy.heal()
    test_forwards_both_ways(connect)


def test_reset_does_not_refuse(connect, proxy):
    client, _ = connect()
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    test_forwards_both_ways(connect)


def test_stall_keeps_everything_back_until_healed(connect, proxy):
    client, server = connect()
    proxy.stall()
    client.sendall(b'question')
    server.sendall(b'answer')
    assert is_silent(server) and is_silent(client)
    late, late_server = connect()
    late.sendall(b'late')
    assert is_silent(late_server)
    proxy.heal()
    assert receive(server, 8) == b'question'
    assert receive(client, 6) == b'answer'
    assert receive(late_server, 4) == b'late'


@pytest.mark.parametrize('works', ['to_server', 'to_client'])
def test_half_open_forwards_one_way(connect, proxy, works):
    client, server = connect()
    good, bad = ((client, server) if works == 'to_server'
                 else (server, client))
    proxy.half_open(works)
    good.sendall(b'through')
    assert receive(bad, 7) == b'through'
    bad.sendall(b'held')
    assert is_silent(good)
    proxy.heal()
    assert receive(good, 4) == b'held'


def test_half_open_names_what_it_takes(proxy):
    with pytest.raises(ValueError, match="'to_server' or 'to_client'"):
        proxy.half_open('both')


def test_a_fault_replaces_the_one_before(connect, proxy):
    client, server = connect()
    proxy.stall()
    proxy.half_open('to_server')
    client.sendall(b'x')
    assert receive(server, 1) == b'x'


def test_target_that_is_away_is_a_reset(no_leaks):
    with socket.create_server(('127.0.0.1', 0)) as gone:
        target = '{}:{}'.format(*gone.getsockname())
    with (Proxy(target) as proxy, pytest.raises(ConnectionResetError),
          socket.create_connection(proxy.address, 5) as client):
        client.recv(1)


def test_close_frees_everything_and_may_be_repeated(target, no_leaks):
    proxy = Proxy(target.getsockname())
    client = socket.create_connection(proxy.address, 5)
    proxy.close()
    proxy.close()
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_kazoo_through_it(zookeeper, client):
    with Proxy(zookeeper.hosts) as proxy:
        user = client(proxy.connection_string + zookeeper.chroot)
        session = user.client_id
        user.create('/kept', ephemeral=True)
        proxy.drop()
        wait_for(lambda: not user.connected, message='the end of it')
        proxy.heal()
        wait_for(lambda: user.connected, message='the connection')
        assert user.client_id == session
        assert user.exists('/kept')
