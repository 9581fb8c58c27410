"""The documented API of zope.server 5, which hands all to `Server`."""
from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from zope.server import ServerError
from zope.server import SettingsError
from zope.server.adjustments import ARGUMENTS
from zope.server.adjustments import WITHOUT_EFFECT
from zope.server.adjustments import Adjustments
from zope.server.adjustments import default_adj
from zope.server.http.wsgihttpserver import WSGIHTTPServer
from zope.server.http.wsgihttpserver import run_paste
from zope.server.taskthreads import ThreadedTaskDispatcher
from zope_server_support.applications import Gate
from zope_server_support.applications import hello
from zope_server_support.applications import showing
from zope_server_support.talking import Client
from zope_server_support.talking import ask
from zope_server_support.talking import until

TIMEOUT_S = 20


@contextmanager
def serving(application: Callable, *arguments: Any,
            **more: Any) -> Iterator[WSGIHTTPServer]:
    """A server on a free port."""
    more.setdefault('ip', '127.0.0.1')
    more.setdefault('port', 0)
    server = WSGIHTTPServer(application, *arguments, **more)
    try:
        yield server
    finally:
        server.close()


def address(server: WSGIHTTPServer) -> tuple[str, int]:
    """Where a server of a test listens."""
    return '127.0.0.1', server.port


def dispatcher(count: int) -> ThreadedTaskDispatcher:
    """As programs for zope.server 5 make one."""
    made = ThreadedTaskDispatcher()
    made.setThreadCount(count)
    return made


# WSGIHTTPServer.

@pytest.mark.parametrize('sub_protocol, ident', [
    ('Browser', 'zope.server.http (Browser)'),
    (None, 'zope.server.http'),
])
def test_the_sub_protocol_is_in_the_server_header(
        sub_protocol: str | None, ident: str) -> None:
    with serving(hello, sub_protocol) as server:
        assert ask(address(server)).fields['server'] == ident


def test_a_subclass_has_its_own_ident() -> None:
    class Mine(WSGIHTTPServer):
        SERVER_IDENT = 'mine'

    server = Mine(hello, 'x', '127.0.0.1', 0)
    try:
        assert ask(address(server)).fields['server'] == 'mine (x)'
    finally:
        server.close()


def test_the_arguments_have_the_order_of_5() -> None:
    server = WSGIHTTPServer(
        hello, 'Browser', '127.0.0.1', 0, dispatcher(2), Adjustments(), False,
        None, False)
    server.close()
    assert server.server_name == '127.0.0.1'
    assert server.port > 0


def test_the_application_can_be_replaced() -> None:
    with serving(hello) as server:
        assert ask(address(server)).body == b'hello'
        server.application = showing('REQUEST_METHOD')
        assert ask(address(server)).body == b"'GET'"


@pytest.mark.parametrize('key, value', [
    ('wsgi.multithread', True), ('wsgi.multiprocess', True),
    ('wsgi.run_once', False), ('wsgi.version', (1, 0)),
])
def test_the_environment_is_that_of_5(key: str, value: object) -> None:
    with serving(showing(key), task_dispatcher=dispatcher(4)) as server:
        assert ask(address(server)).body == repr(value).encode()


def test_a_server_that_is_not_started_serves_later() -> None:
    with serving(hello, start=False) as server, \
            Client(address(server)) as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        server.accept_connections()
        server.accept_connections()
        assert client.response().body == b'hello'


def test_a_verbose_server_says_where_it_is(
        caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, 'zope.server'), \
            serving(hello, verbose=True) as server:
        assert f'serving on 127.0.0.1:{server.port}' in caplog.messages


def test_the_hit_log_is_an_access_log(tmp_path: Path) -> None:
    log = tmp_path / 'hits.log'
    with serving(hello, hit_log=str(log)) as server:
        ask(address(server))
    assert '"GET / HTTP/1.1" 200 5' in log.read_text()


def test_an_object_is_no_hit_log() -> None:
    logger: Any = object()
    with pytest.raises(TypeError, match='the path of a file'):
        WSGIHTTPServer(hello, hit_log=logger)


def test_a_port_in_use() -> None:
    with serving(hello) as server, \
            pytest.raises(ServerError, match='in use'):
        WSGIHTTPServer(hello, None, '127.0.0.1', server.port)


def test_what_nothing_calls_is_refused() -> None:
    with pytest.raises(TypeError, match='wrap the application instead'):
        class Mine(WSGIHTTPServer):
            def executeRequest(self, task: object) -> None:
                """As subclasses for zope.server 5 have it."""


# Its stop.

def test_run_ends_with_a_signal_and_drains() -> None:
    gate = Gate()
    before = signal.getsignal(signal.SIGTERM)
    bodies: list[bytes] = []

    def ask_and_stop() -> None:
        with Client(address(server)) as client:
            client.send(b'GET /gate HTTP/1.1\r\nHost: a\r\n\r\n')
            until(lambda: gate.inside)
            until(lambda: signal.getsignal(signal.SIGTERM) != before)
            os.kill(os.getpid(), signal.SIGTERM)
            gate.open()
            bodies.append(client.response().body)

    with serving(gate) as server:
        thread = threading.Thread(target=ask_and_stop)
        thread.start()
        server.run()
        thread.join()
    assert bodies == [b'/gate']


def test_close_ends_run_in_another_thread() -> None:
    with serving(hello, start=False) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        assert ask(address(server)).body == b'hello'
        server.close()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
        with pytest.raises(OSError):
            ask(address(server))


def test_run_paste(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[WSGIHTTPServer] = []

    class Seen(WSGIHTTPServer):
        def run(self) -> None:
            made.append(self)
            super().run()

    monkeypatch.setattr('zope.server.http.wsgihttpserver.WSGIHTTPServer',
                        Seen)
    thread = threading.Thread(target=run_paste, args=(
        showing('SERVER_SOFTWARE'), {}, 'web', '127.0.0.1', '0', '2'))
    thread.start()
    server = until(lambda: made)[0]
    assert ask(address(server)).body == b"'zope.server.http (web)'"
    assert server.task_dispatcher.count == 2
    server.close()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()


def test_run_paste_refuses_what_cannot_be() -> None:
    with pytest.raises(SettingsError, match="setting 'threads': 0 is not"):
        run_paste(hello, {}, threads=0)
    with pytest.raises(ServerError, match='cannot listen on 127.0.0.1:-5'):
        run_paste(hello, {}, port=-5)


# ThreadedTaskDispatcher.

def test_a_dispatcher_says_how_many_threads() -> None:
    gate = Gate()
    with serving(gate, task_dispatcher=dispatcher(2)) as server, \
            Client(address(server)) as one, Client(address(server)) as two, \
            Client(address(server)) as three:
        for client in one, two, three:
            client.send(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        assert server.task_dispatcher is not None
        until(lambda: gate.inside == 2)
        until(lambda: server.task_dispatcher.getPendingTasksEstimate() == 1)
        gate.open(3)
        for client in one, two, three:
            assert client.response().status == 200
    assert gate.most == 2


def test_a_dispatcher_without_threads_is_refused() -> None:
    with pytest.raises(SettingsError, match="setting 'threads': 0 is not"):
        WSGIHTTPServer(hello, None, '127.0.0.1', 0, ThreadedTaskDispatcher())


def test_a_change_of_the_threads_is_for_later_servers(
        caplog: pytest.LogCaptureFixture) -> None:
    threads = dispatcher(1)
    threads.setThreadCount(2)
    assert not caplog.messages
    with serving(hello, task_dispatcher=threads):
        threads.setThreadCount(2)
        assert not caplog.messages
        threads.setThreadCount(3)
    assert 'stays with its 2 threads' in caplog.text


def test_shutdown_stops_the_servers_of_a_dispatcher() -> None:
    threads = dispatcher(1)
    with serving(hello, task_dispatcher=threads) as server:
        assert ask(address(server)).body == b'hello'
        threads.shutdown()
        with pytest.raises(OSError):
            ask(address(server))
        threads.shutdown()


def test_a_dispatcher_takes_no_other_tasks() -> None:
    with pytest.raises(NotImplementedError, match='ThreadPoolExecutor'):
        dispatcher(1).addTask(object())


# Adjustments.

def test_the_attributes_of_adjustments_become_settings() -> None:
    adjustments = Adjustments()
    adjustments.outbuf_overflow = 10_000
    adjustments.inbuf_overflow = 20_000
    adjustments.backlog = 7
    adjustments.connection_limit = 8
    adjustments.channel_timeout = 9
    assert adjustments.arguments() == {
        'output_buffer_size': 10_000, 'body_spool_size': 20_000, 'backlog': 7,
        'connection_limit': 8, 'channel_timeout': 9}


def test_the_documented_attributes_are_there() -> None:
    names = {*ARGUMENTS, *WITHOUT_EFFECT}
    assert names == {
        'backlog', 'recv_bytes', 'send_bytes', 'copy_bytes',
        'outbuf_overflow', 'inbuf_overflow', 'connection_limit',
        'cleanup_interval', 'channel_timeout', 'log_socket_errors',
        'socket_options'}
    assert all(hasattr(default_adj, name) for name in names)


def test_default_adj_is_for_servers_without_their_own(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_adj, 'connection_limit', 0)
    with pytest.raises(SettingsError, match="'connection_limit': 0 is not"):
        WSGIHTTPServer(hello, None, '127.0.0.1', 0)
    with serving(hello, adj=Adjustments()) as server:
        assert ask(address(server)).body == b'hello'


def test_a_changed_attribute_without_effect_is_told(
        caplog: pytest.LogCaptureFixture) -> None:
    adjustments = Adjustments()
    adjustments.arguments()
    assert not caplog.messages
    adjustments.recv_bytes = 1
    adjustments.arguments()
    assert caplog.messages == [
        'recv_bytes of Adjustments has no effect since zope.server 6']
