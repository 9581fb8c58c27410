"""What the threads are doing, seen from outside."""
from __future__ import annotations

import threading

from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.talking import Client
from zope_server_support.talking import serving
from zope_server_support.talking import until


class Gate:
    """An application that answers /wait once the gate is open."""

    def __init__(self) -> None:
        self.is_open = threading.Event()

    def __call__(self, environ, start_response):
        if environ['PATH_INFO'].startswith('/wait'):
            self.is_open.wait(60)
        return hello(environ, start_response)


def test_requests_that_run_and_requests_that_wait():
    gate = Gate()
    with serving(gate, threads=2) as server, Client(server.address) as one, \
            Client(server.address) as two, Client(server.address) as three:
        idle = server.activity()
        assert (idle.queued, idle.threads, idle.running) == (0, 2, ())
        assert not idle.is_busy
        one.send(get(target=b'/wait/1'))
        until(lambda: len(server.activity().running) == 1)
        assert not server.activity().is_busy
        two.send(get(target=b'/wait/2'))
        until(lambda: server.activity().is_busy)
        three.send(get(target=b'/wait/3'))
        until(lambda: server.activity().queued == 1)
        found = server.activity()
        assert [request.text for request in found.running] == [
            "GET '/wait/1' from 127.0.0.1", "GET '/wait/2' from 127.0.0.1"]
        assert found.running[0].age >= found.running[1].age > 0
        assert found.finished == idle.finished
        assert 'self.is_open.wait(60)' in server.stacks()
        gate.is_open.set()
        for client in one, two, three:
            client.response()
        until(lambda: not server.activity().running)
        assert server.activity().finished == idle.finished + 3


def test_a_thread_that_leads_is_seen_as_well():
    """Quick requests are run by the thread that polls."""
    gate = Gate()
    with serving(gate, threads=1) as server, Client(server.address) as client:
        until(lambda: client.get() and server.engine.threads.is_quick)
        client.send(get(target=b'/wait'))
        until(lambda: server.activity().is_busy)
        with Client(server.address) as other:
            other.send(get(target=b'/wait/other'))
            until(lambda: server.activity().queued == 1)
            gate.is_open.set()
            other.response()
        client.response()
