"""Test the server as an object: start, stop, pause, expiry."""
import logging
import socket
import threading
from contextlib import ExitStack

import pytest
from kazoo.client import KazooState
from kazoo.exceptions import NoNodeError
from zc.zk.embedded import Server
from zc.zk.embedded import ServerError
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.leaks import no_leaks as nothing_left
from zc.zk.testing.waiting import wait_for
from zc_zk_support import wire
from zc_zk_support.wire import Wire


@pytest.fixture
def server():
    # Long sessions, so that a slow machine ends none.
    with Server(max_session_timeout=60_000) as server:
        yield server


@pytest.fixture
def kazoo(server):
    kazoo = start_client(server.connection_string)
    yield kazoo
    stop_client(kazoo)


def test_a_server_listens_while_it_is_entered():
    server = Server()
    with server as entered:
        assert entered is server
        assert server.connection_string == f'127.0.0.1:{server.port}'
        with Wire(server.connection_string) as connection:
            assert connection.start().timeout
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(('127.0.0.1', server.port))


def test_nothing_is_left_behind():
    with nothing_left():
        for _ in range(3):
            with Server() as server:
                clients = [start_client(server.connection_string)
                           for _ in range(3)]
                for kazoo in clients:
                    stop_client(kazoo)
                Wire(server.connection_string).start().socket.close()


def test_start_and_close_may_be_repeated():
    server = Server()
    server.close()
    assert server.start() is server.start() is server
    server.close()
    server.close()


def test_a_server_starts_again_on_its_port_and_empty():
    server = Server()
    with server:
        port = server.port
        kazoo = start_client(server.connection_string)
        kazoo.create('/a')
        session = kazoo.client_id
        for _ in range(100):
            kazoo.set('/a', b'')  # the client has seen many zxids
    try:
        with server:
            assert server.port == port
            wait_for(lambda: kazoo.connected
                     and kazoo.client_id != session)
            with pytest.raises(NoNodeError):
                kazoo.retry(kazoo.get, '/a')
            stop_client(kazoo)
    finally:
        stop_client(kazoo)


def test_a_port_in_use_is_one_clear_line():
    with Server() as server:
        with pytest.raises(ServerError) as raised:
            Server(port=server.port).start()
        assert str(raised.value) == (
            f'cannot listen on 127.0.0.1:{server.port}:'
            ' Address already in use')


@pytest.mark.parametrize('tick', [0, -1, .2, '200', None])
def test_ticks_are_whole_milliseconds(tick):
    with pytest.raises(ValueError, match='whole number of milliseconds'):
        Server(tick=tick)


def test_timeouts_are_two_to_twenty_ticks():
    with Server(tick=50) as server:
        for asked, given in ((1, 100), (500, 500), (9999, 1000)):
            with Wire(server.connection_string) as connection:
                assert connection.start(timeout=asked).timeout == given
    with Server(tick=50, max_session_timeout=5000) as server:
        with Wire(server.connection_string) as connection:
            assert connection.start(timeout=9999).timeout == 5000


@pytest.mark.skipif(not socket.has_ipv6, reason='no IPv6')
def test_ipv6():
    try:
        server = Server(host='::1').start()
    except ServerError as error:
        pytest.skip(str(error))
    with server:
        assert server.connection_string == f'[::1]:{server.port}'
        kazoo = start_client(server.connection_string)
        kazoo.create('/a')
        stop_client(kazoo)


def test_all_interfaces_are_reached_by_loopback():
    with Server(host='') as server:
        assert server.connection_string == f'127.0.0.1:{server.port}'
        with Wire(server.connection_string) as connection:
            assert connection.start().timeout


def test_a_session_can_be_expired(server, kazoo):
    other = start_client(server.connection_string)
    try:
        kazoo.create('/mine', ephemeral=True)
        events, states = [], []
        other.exists('/mine', watch=events.append)
        kazoo.add_listener(states.append)
        assert server.expire(kazoo.client_id[0])
        wait_for(lambda: KazooState.LOST in states)
        wait_for(lambda: [event.type for event in events] == ['DELETED'])
        assert not server.expire(12345)
    finally:
        stop_client(other)


def test_dropped_connections_leave_the_sessions(server, kazoo):
    kazoo.create('/mine', ephemeral=True)
    session = kazoo.client_id
    states = []
    kazoo.add_listener(states.append)
    server.drop_connections()
    wait_for(lambda: KazooState.CONNECTED in states)
    assert KazooState.LOST not in states
    assert kazoo.client_id == session
    assert kazoo.retry(kazoo.exists, '/mine')


def test_a_paused_server_does_not_answer_until_it_resumes(server, kazoo):
    server.pause()
    answer = kazoo.get_async('/')
    with socket.create_connection(('127.0.0.1', server.port)) as stranger:
        stranger.settimeout(.2)
        stranger.sendall(b'ruok')
        with pytest.raises(TimeoutError):
            stranger.recv(4)
        assert not answer.ready()
        server.resume()
        stranger.settimeout(10)
        assert stranger.recv(4) == b'imok'
    assert answer.get(timeout=10)[0] == b''


def test_a_refusing_server_comes_back_as_it_was(server, kazoo):
    kazoo.create('/kept', b'data')
    kazoo.create('/mine', ephemeral=True)
    session = kazoo.client_id
    states = []
    kazoo.add_listener(states.append)
    server.pause(refuse=True)
    wait_for(lambda: states == [KazooState.SUSPENDED])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(('127.0.0.1', server.port))
    server.resume()
    wait_for(lambda: kazoo.connected)
    assert kazoo.client_id == session
    assert kazoo.get('/kept')[0] == b'data'
    assert kazoo.exists('/mine')


def test_a_paused_server_can_be_closed():
    with nothing_left():
        for refuse in (False, True):
            with Server() as server:
                server.pause(refuse)


def test_operations_need_a_running_server():
    server = Server()
    for operation in (server.pause, server.resume, server.drop_connections,
                      lambda: server.expire(1)):
        with pytest.raises(ServerError, match='does not run'):
            operation()


def test_operations_may_come_from_many_threads(server):
    def work():
        for _ in range(20):
            server.pause()
            server.resume()
            server.drop_connections()
            server.expire(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Wire(server.connection_string) as connection:
        assert connection.start().timeout


def test_the_log_names_the_client_and_its_mistake(server, caplog):
    with Wire(server.connection_string) as connection:
        host, port = connection.socket.getsockname()
        connection.start()
        connection.request(wire.GET_DATA, b'\0')
        connection.socket.sendall(b'\x7f\0\0\0')
        assert connection.is_closed()
    messages = [record.getMessage() for record in caplog.records
                if record.name.startswith('zc.zk.embedded')]
    assert messages == [
        f'{host}:{port}: a request of type 4 is malformed: 4 bytes wanted,'
        ' 1 left',
        f'{host}:{port}: a frame of 2130706432 bytes: closed']
    assert {record.levelno for record in caplog.records} == {
        logging.WARNING}


def test_a_connection_without_a_session_is_closed():
    with Server(tick=5) as server:
        with Wire(server.connection_string) as stranger:
            assert stranger.is_closed()


def test_a_client_that_does_not_read_the_end_is_closed():
    # The session timeout is 2 s. A connection has the same time for its
    # first and for its last frames.
    with Server(tick=40, max_session_timeout=2000) as server:
        with Wire(server.connection_string) as deaf:
            deaf.start()
            deaf.request(wire.CREATE, wire.creation('/big', bytes(900_000)))
            for _ in range(20):
                deaf.put(wire.GET_DATA, wire.watched('/big'))
            wait_for(lambda: _connections(server) == 0)


def _connections(server):
    """Return the number of connections, without the one that asks."""
    with Wire(server.connection_string) as connection:
        connection.socket.sendall(b'mntr')
        received = b''
        while chunk := connection.socket.recv(4096):
            received += chunk
    figures = dict(line.split('\t') for line in received.decode().splitlines())
    return int(figures['zk_num_alive_connections']) - 1


def test_a_client_that_does_not_read_its_events_is_closed(server, caplog):
    path = '/' + 'x' * 10_000
    with Wire(server.connection_string) as deaf:
        host, port = deaf.socket.getsockname()
        deaf.start()
        deaf.request(wire.ADD_WATCH, wire.text(path) + bytes(4))
        with Wire(server.connection_string) as busy:
            busy.start()
            busy.request(wire.CREATE, wire.creation(path))
            changes = wire.parts(
                *[(wire.SET_DATA, wire.setting(path, b''))] * 80)
            for _ in range(40):  # some 32 MB of events
                assert busy.request(wire.MULTI, changes).code == 0
            wait_for(lambda: caplog.records, 30)
            assert busy.request(wire.SYNC, wire.text('/')).code == 0
    assert [record.getMessage() for record in caplog.records] == [
        f'{host}:{port} does not read its events: closed']


def test_replies_may_be_large_but_not_without_end(server):
    with Wire(server.connection_string) as reader:
        reader.start()
        reader.request(wire.CREATE, wire.creation('/big', bytes(900_000)))
        read = wire.GET_DATA, wire.watched('/big')
        reply = reader.request(wire.MULTI_READ, wire.parts(*[read] * 30))
        assert (reply.code, len(reply.body) // 900_000) == (0, 30)
        reply = reader.request(wire.MULTI_READ, wire.parts(*[read] * 1000))
        assert (reply.code, reply.body) == (-5, b'')


def test_a_hung_reader_holds_no_more_than_a_few_replies(server):
    psutil = pytest.importorskip('psutil')
    with Wire(server.connection_string) as writer:
        writer.start()
        writer.request(wire.CREATE, wire.creation('/big', bytes(900_000)))
    with ExitStack() as stack:
        deaf = [stack.enter_context(Wire(server.connection_string)).start()
                for _ in range(10)]
        before = psutil.Process().memory_info().rss
        for connection in deaf:
            for _ in range(100):
                connection.put(wire.GET_DATA, wire.watched('/big'))
        with Wire(server.connection_string) as other:
            other.start()
            assert other.request(wire.SYNC, wire.text('/')).code == 0
        grown = psutil.Process().memory_info().rss - before
    assert grown < 10 * 5_000_000  # of the 900 MB that were asked for
