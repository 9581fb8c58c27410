"""The server as a program uses it: bind, serve, drain, close."""
from __future__ import annotations

import logging
import socket
import time
from pathlib import Path
from wsgiref.validate import validator

import pytest
from zope.server import Server
from zope.server import ServerError
from zope.server.connection import Connection
from zope.server.task import Task
from zope_server_support.applications import Gate
from zope_server_support.applications import hello
from zope_server_support.applications import showing
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import post
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import descriptors
from zope_server_support.talking import serving
from zope_server_support.talking import until


def test_the_address_has_the_true_port() -> None:
    with serving(showing('SERVER_PORT')) as server:
        host, port = server.address
        assert host == '127.0.0.1'
        assert port > 0
        assert ask(server.address).body == repr(str(port)).encode()


def test_an_empty_host_is_every_interface() -> None:
    with serving(showing('SERVER_NAME'), host='') as server:
        assert server.address[0] == ''
        assert ask(server.address).body == repr(
            socket.gethostname()).encode()


@pytest.mark.parametrize('host', ['0.0.0.0', '::', '0::0'])
def test_the_name_of_every_address_is_the_machine(host: str) -> None:
    with serving(showing('SERVER_NAME'), host=host) as server:
        assert ask(('127.0.0.1', server.address[1])).body == repr(
            socket.gethostname()).encode()


def test_an_ipv6_name_is_in_brackets() -> None:
    with serving(showing('SERVER_NAME'), host='::1') as server:
        assert ask(server.address).body == b"'[::1]'"


def test_ipv6() -> None:
    with serving(showing('REMOTE_ADDR'), host='::1') as server:
        assert server.address[0] == '::1'
        assert ask(server.address).body == b"'::1'"


def test_every_address_of_ipv6_is_also_every_one_of_ipv4() -> None:
    with serving(showing('REMOTE_ADDR'), host='::') as server:
        port = server.address[1]
        assert ask(('::1', port)).body == b"'::1'"
        assert ask(('127.0.0.1', port)).body == b"'127.0.0.1'"


def test_a_port_in_use() -> None:
    with serving(hello) as server:
        port = server.address[1]
        files = descriptors()
        with pytest.raises(ServerError) as caught:
            Server(hello, host='127.0.0.1', port=port)
        assert str(caught.value) == (
            f'cannot listen on 127.0.0.1:{port}: Address already in use')
        assert descriptors() == files


@pytest.mark.parametrize('host, reason', [
    ('nonesuch.invalid', 'known'),
    ('192.0.2.1', 'Cannot assign requested address'),
    ('2001:db8::1', 'Cannot assign requested address'),
    ('a' * 70, 'label'),
])
def test_a_host_that_is_not_ours(host: str, reason: str) -> None:
    with pytest.raises(ServerError) as caught:
        Server(hello, host=host)
    text = str(caught.value)
    where = f'[{host}]' if ':' in host else host
    assert text.startswith(f'cannot listen on {where}:0: ')
    assert reason in text
    assert '\n' not in text


def test_a_host_by_name() -> None:
    with serving(hello, host='localhost') as server:
        assert ask(server.address).status == 200


def test_an_access_log_that_cannot_be(tmp_path: Path) -> None:
    files = descriptors()
    with pytest.raises(ServerError) as caught:
        Server(hello, host='127.0.0.1', access_log=str(tmp_path))
    assert str(caught.value) == (
        f'cannot write the access log {tmp_path}: Is a directory')
    assert descriptors() == files


def test_the_access_log_is_closed_when_the_port_is_in_use(
        tmp_path: Path) -> None:
    with serving(hello) as server:
        files = descriptors()
        with pytest.raises(ServerError):
            Server(hello, host='127.0.0.1', port=server.address[1],
                   access_log=str(tmp_path / 'access.log'))
        assert descriptors() == files


def test_an_unknown_option() -> None:
    with pytest.raises(TypeError):
        Server(hello, nonesuch=1)


def test_several_at_once_and_one_after_the_other() -> None:
    for _ in range(3):
        with serving(hello) as one, serving(hello) as other:
            assert one.address != other.address
            for _ in range(3):
                assert ask(one.address).body == b'hello'
                assert ask(other.address).body == b'hello'


def test_the_port_is_free_after_a_close() -> None:
    with serving(hello) as server:
        address = server.address
        ask(address)
    with serving(hello, port=address[1]) as server:
        assert server.address == address
        assert ask(address).status == 200


def test_close_may_be_repeated_and_needs_no_start() -> None:
    files = descriptors()
    server = Server(hello, host='127.0.0.1')
    server.close()
    server.close()
    assert server.drain(1) == 0
    assert descriptors() == files


def test_drain_without_a_start() -> None:
    server = Server(hello, host='127.0.0.1')
    assert server.drain(1) == 0
    with pytest.raises(ConnectionError):
        socket.create_connection(server.address, timeout=5)
    server.close()


def test_connections_are_accepted_before_start_and_served_after() -> None:
    server = Server(hello, host='127.0.0.1')
    with Client(server.address) as client:
        client.send(get())
        server.start()
        assert client.response().status == 200
    server.close()


def test_nothing_is_left_of_open_connections() -> None:
    with serving(hello) as server:
        clients = [Client(server.address) for _ in range(20)]
        for client in clients:
            client.get()
        server.close()
        for client in clients:
            assert client.read_all() == b''
            client.sock.close()


def test_statistics() -> None:
    gate = Gate()
    before = time.time()
    with serving(gate, threads=2) as server:
        clients = [Client(server.address) for _ in range(5)]
        for client in clients:
            client.send(get())
        until(lambda: server.statistics().queued == 3
              and gate.inside == 2)
        found = server.statistics()
        assert before <= found.started <= time.time()
        assert found.threads == found.busy_threads == 2
        assert found.queued == 3
        assert found.connections == 5
        assert found.requests == 0
        gate.open(5)
        for client in clients:
            client.response()
            client.sock.close()
        until(lambda: server.statistics().connections == 0)
        found = server.statistics()
        assert (found.requests, found.in_flight, found.queued) == (5, 0, 0)


@pytest.mark.parametrize('threads', [1, 2, 5])
def test_as_many_requests_run_at_once_as_there_are_threads(
        threads: int) -> None:
    gate = Gate()
    with serving(gate, threads=threads) as server:
        clients = [Client(server.address) for _ in range(threads + 3)]
        for client in clients:
            client.send(get(b'Connection: close\r\n'))
        until(lambda: gate.inside == threads)
        until(lambda: server.statistics().queued == 3)
        gate.open(len(clients))
        for client in clients:
            assert client.read_all().endswith(b'/')
            client.sock.close()
        assert gate.most == threads
        assert len(gate.idents) <= threads


@pytest.mark.parametrize('is_quick', [False, True])
def test_polling_goes_on_while_every_thread_is_busy(is_quick: bool) -> None:
    gate = Gate()
    with serving(gate, threads=2) as server:
        if is_quick:
            # Have a thread of the pool lead, as for quick requests.
            with Client(server.address) as client:
                for _ in range(600):
                    client.get(b'/free')
        busy = [Client(server.address) for _ in range(2)]
        for client in busy:
            client.send(get())
        until(lambda: gate.inside == 2)
        with Client(server.address) as client:
            # The server answers this itself.
            client.send(b'GET / HTTP/1.1\r\n\r\n')
            assert client.response().status == 400
        with Client(server.address) as client:
            client.send(post(b'Expect: 100-continue\r\n'
                             b'Content-Length: 5\r\n'))
            assert client.response().status == 100
            client.send(b'hello')
            until(lambda: server.statistics().queued == 1)
            gate.open(3)
            assert client.response().status == 200
        for client in busy:
            assert client.response().status == 200
            client.sock.close()


def test_a_slow_request_among_quick_ones_keeps_no_other_waiting() -> None:
    gate = Gate()
    with serving(gate, threads=2) as server:
        with Client(server.address) as quick, Client(server.address) as slow:
            for _ in range(600):
                quick.get(b'/free')
            for _ in range(5):
                slow.send(get())
                until(lambda: gate.inside == 1)
                # A request that had to wait would wait for ever.
                for _ in range(300):
                    quick.get(b'/free')
                gate.open()
                assert slow.response().status == 200


def test_the_classes_can_be_replaced() -> None:
    class MyTask(Task):
        def run(self):
            self.environ['mine'] = 'yes'
            return super().run()

    class MyConnection(Connection):
        task_class = MyTask

    class MyServer(Server):
        connection_class = MyConnection

    server = MyServer(showing('mine'), host='127.0.0.1')
    server.start()
    assert ask(server.address).body == b"'yes'"
    server.close()


def test_wsgi_as_the_validator_wants_it() -> None:
    with serving(validator(hello)) as server:
        for request in (get(), post(b'Content-Length: 5\r\n', b'hello'),
                        get(target=b'http://example.org/a%20b?c'),
                        get(target=b'//a//'), get(b'X-Foo: \xe9\r\n'),
                        b'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'):
            with Client(server.address) as client:
                client.send(request)
                assert client.response().status == 200


@pytest.mark.parametrize('key, value', [
    ('SERVER_SOFTWARE', 'mine'),
    ('SCRIPT_NAME', ''),
    ('GATEWAY_INTERFACE', 'CGI/1.1'),
    ('wsgi.version', (1, 0)),
    ('wsgi.url_scheme', 'http'),
    ('wsgi.multithread', True),
    ('wsgi.multiprocess', True),
    ('wsgi.run_once', False),
    ('wsgi.input_terminated', True),
    ('REMOTE_ADDR', '127.0.0.1'),
])
def test_the_environment(key: str, value: object) -> None:
    with serving(showing(key), name='mine', threads=2,
                 multiprocess=True) as server:
        response = ask(server.address)
        assert response.body == repr(value).encode()
        assert response.fields['server'] == 'mine'


def test_one_thread_is_not_multithreaded() -> None:
    with serving(showing('wsgi.multithread')) as server:
        assert ask(server.address).body == b'False'


def test_the_clients_port() -> None:
    with serving(showing('REMOTE_PORT')) as server:
        with Client(server.address) as client:
            port = client.sock.getsockname()[1]
            assert client.get().body == repr(str(port)).encode()


def test_an_application_error_is_logged_with_its_traceback(
        caplog: pytest.LogCaptureFixture) -> None:
    def application(environ, start_response):
        raise ValueError('what went wrong')

    with serving(application) as server:
        response = ask(server.address, b'/a?b')
        assert response.status == 500
        assert b'what went wrong' not in response.body
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "GET '/a?b' from 127.0.0.1: the application failed")
    assert 'what went wrong' in str(record.exc_info[1])
