"""A stop that loses nothing, in real processes with real signals."""
import http.client
import shutil
import signal
import socket
import time
from functools import partial

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import asking
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import started
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get
from zope.server import engine

from zc.zkzopeserver import signals

# How often to try where a busy machine may be too slow.
ATTEMPTS = 10

SLOW = 'call:zkzopeserver_support.running:make_slow'
GATED = 'call:zkzopeserver_support.running:make_gated'


@pytest.fixture
def serving(zookeeper, tree, tmp_path):
    """Return a function that starts a server: (process, address).

    A slow request takes `seconds`, or ends once the file `gate` is there.
    """
    import contextlib
    with contextlib.ExitStack() as stack:
        def start(seconds='1', gate=None, **options):
            options.setdefault('threads', '4')
            app = (f'{GATED}\ngate = {gate}' if gate
                   else f'{SLOW}\nseconds = {seconds}')
            ini = write_ini(tmp_path, zookeeper.connection_string, app=app,
                            **options)
            process = stack.enter_context(started(ini))
            address, = registered(tree, process)
            return process, address
        yield start


def until_in_flight(address, process):
    """Wait until the server answers a request that follows the slow one."""
    wait_for(lambda: get(address)[0] == 200, 10)


def gone(tree):
    """Wait until the node is gone."""
    wait_for(lambda: not tree.get_children(PATH), 10, 'the node to go')


def test_requests_in_flight_are_finished(serving, tree, tmp_path):
    gate = tmp_path / 'gate'
    process, address = serving(gate=gate)
    slow = [asking(address) for _ in range(3)]
    until_in_flight(address, process)
    process.signal()
    gone(tree)
    assert process.popen.poll() is None
    gate.touch()
    assert process.ended() == 0, process.output
    for thread, results in slow:
        thread.join()
        assert results[0][0] == 200, results


def test_a_request_that_outlives_the_time_is_cut_and_logged(serving):
    process, address = serving('60', graceful_timeout='0.5')
    thread, results = asking(address)
    until_in_flight(address, process)
    process.signal()
    assert process.ended() == 0, process.output
    thread.join()
    assert isinstance(results[0], Exception), results
    assert 'cut' in process.output


def test_a_second_signal_stops_at_once_with_status_1(serving, tree):
    process, address = serving('60')
    thread, results = asking(address)
    until_in_flight(address, process)
    process.signal()
    gone(tree)
    began = time.monotonic()
    process.insist(signal.SIGINT, 'cut off')
    assert process.ended() == 1, process.output
    assert time.monotonic() - began < 20
    thread.join()
    assert isinstance(results[0], Exception), results


def twice(process, first, second):
    """Send two signals, the second when the first has begun the stop.

    Return whether they were within SAME_REQUEST_S, on a busy machine.
    """
    began = time.monotonic()
    process.signal(first)
    wait_for(lambda: 'withdrew' in process.output
             or process.popen.poll() is not None, 20,
             lambda: f'the stop; it says:\n{process.output}')
    if process.popen.poll() is not None:
        # The stop was over before the second.
        return False
    process.signal(second)
    return time.monotonic() - began < signals.SAME_REQUEST_S


@pytest.mark.parametrize('second', [signal.SIGTERM, signal.SIGINT])
def test_two_signals_in_one_moment_are_one_request(serving, tree, second):
    """As from timeout(1), which signals the process and then its group."""
    for _ in range(ATTEMPTS):
        process, address = serving('1')
        thread, results = asking(address)
        until_in_flight(address, process)
        was_a_moment = twice(process, signal.SIGTERM, second)
        status = process.ended()
        thread.join()
        if was_a_moment:
            break
    else:
        pytest.fail('the machine is too busy for two signals in a moment')
    assert status == 0, process.output
    assert results[0][0] == 200, results
    assert tree.get_children(PATH) == []


@pytest.mark.skipif(not shutil.which('timeout'), reason='no timeout(1)')
@pytest.mark.parametrize('workers', ['1', '2'])
def test_timeout_lets_it_finish(tree, zookeeper, tmp_path, workers):
    """It is stopped by timeout(1) with a request in flight."""
    ini = write_ini(tmp_path, zookeeper.connection_string, threads='4',
                    app=f'{SLOW}\nseconds = 4', workers=workers)
    with started(ini, before=('timeout', '--preserve-status', '60')
                 ) as process:
        address, *_ = registered(tree, process, count=int(workers))
        thread, results = asking(address)
        until_in_flight(address, process)
        # It passes the signal on to its child, and to its group.
        process.signal()
        assert process.ended() == 0, process.output
        thread.join()
    assert results[0][0] == 200, results


@pytest.mark.clock
def test_it_serves_on_while_clients_learn_that_the_node_is_gone(
        serving, tree):
    process, address = serving(deregister_wait='2')
    began = time.monotonic()
    process.signal()
    gone(tree)
    # New connections are accepted until the time is over, and then refused.
    with pytest.raises(OSError) as caught:
        while time.monotonic() - began < 60:
            assert get(address)[0] == 200
    assert time.monotonic() - began >= 2, (caught.value, process.output)
    assert process.ended() == 0, process.output


def is_told_to_close(connection):
    """Send a request; return whether its answer is said to be the last."""
    connection.request('GET', '/')
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read()
    return answer.getheader('Connection', '').lower() == 'close'


def test_keep_alive_connections_are_told_to_close(serving, tree, tmp_path):
    for attempt in range(ATTEMPTS):
        gate = tmp_path / f'gate-{attempt}'
        process, address = serving(gate=gate)
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request('GET', '/')
        answer = connection.getresponse()
        answer.read()
        assert answer.getheader('Connection', '').lower() != 'close'
        slow, results = asking(address)
        until_in_flight(address, process)
        began = time.monotonic()
        process.signal()
        gone(tree)
        try:
            # The drain begins a moment after the node is gone.
            wait_for(partial(is_told_to_close, connection), 30,
                     'the last answer')
        except ConnectionError:
            # Closed for being idle, but not before its time.
            assert time.monotonic() - began > engine.GRACE_S, process.output
            answer = None
        connection.close()
        gate.touch()
        slow.join()
        assert results[0][0] == 200
        assert process.ended() == 0, process.output
        if answer is not None:
            break
    else:
        pytest.fail('the machine is too busy for a request in the grace')


def test_pipelined_requests_are_all_answered(serving, tree):
    process, address = serving('1', threads='1')
    host, port = address.split(':')
    with socket.create_connection((host, int(port)), 30) as sock:
        request = 'GET %s HTTP/1.1\r\nHost: a\r\n\r\n'
        sock.sendall((request % '/slow' + request % '/2'
                      + request % '/3').encode())
        # The first is with the application when its thread is busy.
        other, results = asking(address, '/')
        process.signal()
        gone(tree)
        received = b''
        while received.count(b'HTTP/1.1 200') < 3:
            chunk = sock.recv(65536)
            assert chunk, received
            received += chunk
    other.join()
    assert results[0][0] == 200
    assert process.ended() == 0, process.output


def test_idle_connections_do_not_keep_it(serving):
    process, address = serving(graceful_timeout='60')
    host, port = address.split(':')
    idle = [socket.create_connection((host, int(port)))
            for _ in range(20)]
    assert get(address)[0] == 200
    began = time.monotonic()
    assert process.stopped() == 0, process.output
    assert time.monotonic() - began < 30
    for sock in idle:
        sock.close()


def test_a_stop_while_it_waits_for_zookeeper(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as free:
        nowhere = f'127.0.0.1:{free.getsockname()[1]}'
    for wait in 'wait', 'serve', 'fail':
        ini = write_ini(tmp_path, nowhere, wait=wait, loggers='INFO')
        with started(ini) as process:
            wait_for(lambda process=process: 'serving on' in process.output,
                     20)
            process.signal()
            # `fail` has failed by then, or is told to stop.
            assert process.ended() in (
                (0, 3) if wait == 'fail' else (0,)), process.output
            assert 'Traceback' not in process.output


def test_a_stop_while_zookeeper_hangs_before_the_registration(
        zookeeper_server, tmp_path):
    """ZooKeeper falls silent after the connection, before the path."""
    ini = write_ini(tmp_path, zookeeper_server.connection_string,
                    wait='wait', session_timeout='4000')
    with started(ini) as process:
        wait_for(lambda: 'waiting for it' in process.output, 20)
        zookeeper_server.pause()
        try:
            began = time.monotonic()
            assert process.stopped() == 0, process.output
            assert time.monotonic() - began < 20
        finally:
            zookeeper_server.resume()
