"""Many clients at once, of every kind, that leave at every moment.

Whatever they do, a client that stays gets the right answer, and nothing is
left behind.
"""
from __future__ import annotations

import hashlib
import logging
import random
import socket
import threading

import pytest
from zope_server_support.applications import PLAIN
from zope_server_support.corpus.case import post
from zope_server_support.talking import Client
from zope_server_support.talking import reset
from zope_server_support.talking import serving
from zope_server_support.talking import until

CLIENTS = 24
CONNECTIONS = 8
SIZES = 0, 10, 20_000, 100_000, 300_000, 1_000_000, 1_500_000


def digest(environ, start_response):
    """Answer with size and hash of the body; fail now and then."""
    body, found, size = environ['wsgi.input'], hashlib.md5(), 0
    step = random.choice((-1, 1000, 65536))
    while data := body.read(step):
        found.update(data)
        size += len(data)
    if random.random() < 0.1:
        raise RuntimeError('as it happens')
    start_response('200 OK', PLAIN)
    return [b'%d %s' % (size, found.hexdigest().encode())]


class Guest:
    """A client; what it does follows from a number."""

    def __init__(self, address: tuple[str, int], number: int) -> None:
        self._address = address
        self._chance = random.Random(number)
        self.answered = 0
        self.problems: list[str] = []

    def stay(self) -> None:
        """Make connections in turn."""
        for _ in range(CONNECTIONS):
            with Client(self._address) as client:
                try:
                    while self._ask(client):
                        pass
                except (OSError, ValueError) as error:
                    self.problems.append(repr(error))

    def _ask(self, client: Client) -> bool:
        """Upload something; return whether the connection goes on."""
        chance = self._chance
        body = chance.randbytes(chance.choice(SIZES))
        request = post(b'Content-Length: %d\r\n' % len(body) + chance.choice(
            (b'', b'', b'Expect: 100-continue\r\n')), body)
        if chance.random() < 0.2:
            client.send(request[:chance.randrange(len(request))])
            if chance.random() < 0.5:
                reset(client)
            return False
        self._send(client, request)
        is_last = chance.random() < 0.2
        if is_last:
            client.sock.shutdown(socket.SHUT_WR)
        response = client.response()
        if response.status == 100:
            response = client.response()
        if response.status == 200:
            self.answered += 1
            if response.body != b'%d %s' % (
                    len(body), hashlib.md5(body).hexdigest().encode()):
                self.problems.append(f'{len(body)}: {response.body}')
        elif response.status != 500:
            self.problems.append(str(response))
        return not is_last and response.fields.get('connection') != 'close'

    def _send(self, client: Client, request: bytes) -> None:
        while request:
            step = self._chance.choice((2 ** 14, 2 ** 16, 2 ** 20))
            client.send(request[:step])
            request = request[step:]


@pytest.mark.parametrize('use_epoll', [True, False])
def test_nothing_is_left_behind(use_epoll: bool,
                                caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    # There is memory for two of the larger bodies.
    with serving(digest, threads=4, body_memory=2 * 2 ** 20,
                 use_epoll=use_epoll) as server:
        guests = [Guest(server.address, number) for number in range(CLIENTS)]
        threads = [threading.Thread(target=guest.stay) for guest in guests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [problem for guest in guests
                for problem in guest.problems] == []
        assert sum(guest.answered for guest in guests) > CLIENTS
        until(lambda: not server.statistics().connections)
        until(lambda: not server.engine.shared.buffer_pool.used)
        assert not server.engine.loop.waiting
        assert not server.statistics().in_flight
