"""Test servers as processes: start, faults and errors."""
import socket
import sys

import pytest
from zc.zk.testing import process
from zc.zk.testing.process import NotReady
from zc.zk.testing.process import ServerProcess

LISTEN = '''
import socket, sys
listener = socket.create_server(("127.0.0.1", {port}))
print("listening", flush=True)
while True:
    with listener.accept()[0] as connection:
        connection.sendall(connection.recv(100))
'''


class Echo(ServerProcess):
    """A server that starts quickly."""

    name = 'echo'
    program = LISTEN

    def command(self):
        return [sys.executable, '-c', self.program.format(port=self.port)]

    def is_ready(self):
        return 'listening' in self.log_tail()

    def ask(self, timeout=5):
        with socket.create_connection(self.address, timeout) as connection:
            connection.sendall(b'hello')
            return connection.recv(100)


@pytest.fixture
def echo(tmp_path, no_leaks):
    with Echo(tmp_path / 'echo') as echo:
        yield echo


def test_answers_as_soon_as_it_is_started(echo):
    assert echo.ask() == b'hello'
    assert echo.connection_string == f'127.0.0.1:{echo.port}'


def test_start_and_stop_may_be_repeated(echo):
    pid = echo.pid
    echo.start()
    assert echo.pid == pid
    echo.stop()
    echo.stop()
    assert not echo.is_running()


def test_restart_is_a_new_process_on_the_old_port(echo):
    pid, port = echo.pid, echo.port
    echo.restart()
    assert echo.pid != pid
    assert echo.port == port
    assert echo.ask() == b'hello'


def test_paused_it_hangs_and_resumed_it_answers(echo):
    echo.pause()
    assert echo.is_paused and echo.is_running()
    with pytest.raises(TimeoutError):
        echo.ask(.1)
    echo.resume()
    assert not echo.is_paused
    assert echo.ask() == b'hello'


def test_paused_it_can_be_stopped_and_killed(echo):
    echo.pause()
    echo.stop()
    echo.start()
    echo.pause()
    echo.kill()
    with pytest.raises(ConnectionRefusedError):
        echo.ask()


def test_dead_it_cannot_be_paused(echo):
    echo.kill()
    with pytest.raises(ValueError, match='echo server is not running'):
        echo.pause()


def test_a_server_that_ignores_sigterm_is_killed(tmp_path, no_leaks):
    server = Echo(tmp_path)
    server.program = ('import signal\n'
                      'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
                      + LISTEN)
    with server:
        server.stop(timeout=.1)
        assert not server.is_running()


def test_start_that_fails_shows_the_end_of_the_log(tmp_path, no_leaks):
    server = Echo(tmp_path)
    server.program = 'import sys; sys.exit("no such luck")'
    with pytest.raises(NotReady) as caught:
        server.start()
    assert 'ended while it started' in str(caught.value)
    assert str(caught.value).endswith('no such luck')


def test_start_that_hangs_is_given_up(tmp_path, no_leaks):
    server = Echo(tmp_path)
    server.program = 'import time; time.sleep(60)'
    with pytest.raises(NotReady, match=r'not ready in 0\.2 s'):
        server.start(.2)
    assert not server.is_running()


def test_a_port_that_is_taken_is_replaced(tmp_path, monkeypatch,
                                               no_leaks):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        ports = [taken.getsockname()[1], process.free_port()]
        chosen = iter(ports)
        monkeypatch.setattr(process, 'free_port', lambda host: next(chosen))
        with Echo(tmp_path) as server:
            assert server.port == ports[1]
            assert server.ask() == b'hello'


def test_its_own_port_is_not_replaced(echo):
    echo.stop()
    with (socket.create_server(echo.address),
          pytest.raises(NotReady, match='in use')):
        echo.start()
