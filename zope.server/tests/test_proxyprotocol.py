"""The PROXY protocol: headers in pieces, malformed ones, and real requests."""
from __future__ import annotations

import ipaddress
import itertools
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from zope.server.errors import HTTPError
from zope.server.proxied import ProxiedReceiver
from zope.server.proxyprotocol import LINE_BYTES
from zope.server.proxyprotocol import REST_BYTES
from zope.server.proxyprotocol import SIGNATURE
from zope.server.proxyprotocol import Source
from zope.server.proxyprotocol import read_header
from zope.server.request import Request
from zope.server.settings import Settings
from zope.server.shared import SharedState
from zope_server_support.applications import PLAIN
from zope_server_support.applications import hello
from zope_server_support.corpus.case import get
from zope_server_support.talking import Client
from zope_server_support.talking import serving
from zope_server_support.talking import until

ON = {'trusted_proxy': '127.0.0.1, 10.0.0.0/8', 'proxy_protocol': True}
LINE = b'PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n'
CLIENT = b"('192.0.2.1', '4711', '127.0.0.1')"


def version_2(rest: bytes = b'', command: int = 0x21, family: int = 0x11,
              length: int | None = None) -> bytes:
    """Return a header of version 2."""
    return SIGNATURE + struct.pack(
        '!BBH', command, family, len(rest) if length is None else length
        ) + rest


V4 = ipaddress.ip_address('192.0.2.1').packed + b'\x7f\0\0\1' + struct.pack(
    '!HH', 4711, 80)
V6 = ipaddress.ip_address('2001:db8::1').packed + bytes(16) + struct.pack(
    '!HH', 4711, 80)
TLVS = b'\x04\0\3abc' + b'\x20\0\7\1\0\0\0\0xx'


def client(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Show the client and the peer."""
    start_response('200 OK', PLAIN)
    return [repr((environ['REMOTE_ADDR'], environ.get('REMOTE_PORT'),
                  environ['zope.server.peer'])).encode()]


GOOD = [
    (LINE, Source('192.0.2.1', 4711)),
    (b'PROXY TCP6 2001:db8::1 ::1 1 65535\r\n', Source('2001:db8::1', 1)),
    (b'PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n', Source('192.0.2.1', 1)),
    (b'PROXY UNKNOWN\r\n', None),
    (b'PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n', None),
    (version_2(V4), Source('192.0.2.1', 4711)),
    (version_2(V4 + TLVS), Source('192.0.2.1', 4711)),
    (version_2(V6, family=0x21), Source('2001:db8::1', 4711)),
    (version_2(V6 + bytes(REST_BYTES - 36), family=0x21),
     Source('2001:db8::1', 4711)),
    (version_2(b'', command=0x20, family=0), None),
    (version_2(V4 + TLVS, command=0x20), None),
    (version_2(b'', family=0), None),
    (version_2(bytes(216), family=0x31), None),
    (version_2(V4, family=0x12), None),
]
BAD = [
    b'GET / HTTP/1.1\r\n', b'PROXX', b'proxy tcp4', b'\r\nPROXY', b'\0',
    b'PROXY TCP4 192.0.2.1 127.0.0.1 4711\r\n',
    b'PROXY TCP4 192.0.2.1 127.0.0.1 4711 80 \r\n',
    b'PROXY TCP4 192.0.2.01 127.0.0.1 4711 80\r\n',
    b'PROXY TCP4 192.0.2.1 127.0.0.1 04711 80\r\n',
    b'PROXY TCP4 192.0.2.1 127.0.0.1 70000 80\r\n',
    b'PROXY TCP4 ::1 ::1 1 2\r\n',
    b'PROXY TCP6 192.0.2.1 127.0.0.1 1 2\r\n',
    b'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    b'PROXY UDP4 192.0.2.1 127.0.0.1 1 2\r\n',
    b'PROXY TCP4 192.0.2.1 127.0.0.1 -1 2\r\n',
    b'PROXY UNKNOWN \xff\r\n', b'PROXY UNKNOWNx\r\n', b'PROXY  UNKNOWN\r\n',
    b'PROXY UNKNOWN\n\r\n', b'PROXY TCP4\0\r\n',
    b'PROXY UNKNOWN ' + b'x' * LINE_BYTES,
    version_2(V4, command=0x11), version_2(V4, command=0x22),
    version_2(V4, family=0x13), version_2(V4, family=0x41),
    version_2(V4[:-1]), version_2(V4, family=0x21),
    version_2(b'', length=REST_BYTES + 1), version_2(b'', length=65535),
]


@pytest.mark.parametrize('data, source', GOOD)
def test_a_header_is_read_to_its_end(data: bytes,
                                     source: Source | None) -> None:
    for end in range(len(data)):
        assert read_header(data[:end]) is None
    for rest in (b'', b'GET', b'\r\n', SIGNATURE):
        header = read_header(data + rest)
        assert header is not None
        assert header == (len(data), source)


@pytest.mark.parametrize('data', BAD)
def test_a_malformed_header_is_refused(data: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        read_header(data)
    assert caught.value.status == 400


@given(st.binary(max_size=300), st.integers(0, 300), st.binary(max_size=4))
@settings(max_examples=5 * settings.default.max_examples)
@example(b'', 0, b'')
def test_nothing_but_a_refusal_comes_of_other_bytes(
        data: bytes, place: int, patch: bytes) -> None:
    for beginning, _ in [(b'', None), *GOOD]:
        found = beginning + data
        found = found[:place] + patch + found[place + len(patch):]
        try:
            header = read_header(found)
        except HTTPError as error:
            assert error.status == 400
        else:
            if header is None:
                assert len(found) < 16 + REST_BYTES
            else:
                assert header.size <= len(found)
                if header.source is not None:
                    ipaddress.ip_address(header.source.address)
                    assert 0 <= header.source.port <= 65535


def received(pieces: list[bytes]) -> list[tuple[str, str]] | int:
    """Return path and client of each request, or the status of a refusal."""
    shared = SharedState(hello, ('127.0.0.1', 80), Settings(
        **ON, trusted_proxy_headers='x-forwarded-for'))
    assert shared.proxies is not None
    environ = {**shared.environ, 'REMOTE_ADDR': '127.0.0.1',
               'REMOTE_PORT': '1'}
    receiver = ProxiedReceiver(shared, environ, Request,
                               proxies=shared.proxies)
    found: list[tuple[str, str]] = []
    try:
        for piece in pieces:
            is_complete = receiver.feed(piece)
            while is_complete:
                request = receiver.take()
                found.append((request.environ['PATH_INFO'],
                              request.environ['REMOTE_ADDR']))
                is_complete = receiver.has_begun() and receiver.feed(b'')
    except HTTPError as error:
        return error.status
    finally:
        receiver.close()
    return found


STREAM = (b'PROXY TCP4 10.0.0.1 127.0.0.1 1 2\r\n'
          b'GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n'
          b'POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nPROXY'
          b'\r\nGET /c HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6,'
          b'192.0.2.2\r\n\r\n')


@given(st.sets(st.integers(1, len(STREAM) - 1)), st.booleans())
def test_it_does_not_matter_how_bytes_come(places: set[int],
                                           is_damaged: bool) -> None:
    stream = STREAM.replace(b'192.0.2.2', b'nobody') if is_damaged else STREAM
    cuts = [0, *sorted(place for place in places if place < len(stream)),
            len(stream)]
    found = received([stream[begin:end]
                      for begin, end in itertools.pairwise(cuts)])
    assert found == (400 if is_damaged else [
        ('/a', '192.0.2.1'), ('/b', '10.0.0.1'), ('/c', '192.0.2.2')])


@pytest.mark.parametrize('use_epoll', [True, False])
@pytest.mark.parametrize('header', [LINE, version_2(V4 + TLVS)])
@pytest.mark.parametrize('cut', [0, 1, 5, 20, None])
def test_all_requests_of_a_connection_are_the_client_s(
        header: bytes, cut: int | None, use_epoll: bool) -> None:
    """`cut` is where the header is cut; None: behind its end."""
    def has_come(size: int) -> bool:
        connection, = server.engine.loop.connections.values()
        preface = connection.receiver._preface  # type: ignore[attr-defined]
        return preface is None if size == len(header) else (
            preface is not None and len(preface) == size)

    with serving(client, **ON, use_epoll=use_epoll) as server, (
            Client(server.address)) as proxy:
        size = len(header) if cut is None else cut
        proxy.send(header[:size])
        until(lambda: server.statistics().connections)
        until(lambda: has_come(size))
        proxy.send(header[size:] + get() + get())
        for _ in range(2):
            assert proxy.response().body == CLIENT
        assert proxy.get().body == CLIENT


@pytest.mark.parametrize('header', [
    b'PROXY UNKNOWN\r\n', version_2(V4, command=0x20),
    version_2(b'', family=0)])
def test_a_proxy_that_tells_no_client_is_the_client(header: bytes) -> None:
    with serving(client, **ON) as server, Client(server.address) as proxy:
        proxy.send(header + get())
        assert proxy.response().body.startswith(b"('127.0.0.1', '")


@pytest.mark.parametrize('data', [
    get(), *(bad for bad in BAD if bad.startswith((b'PROXY T', SIGNATURE)))])
def test_a_trusted_proxy_must_begin_with_a_header(data: bytes) -> None:
    with serving(client, **ON) as server, Client(server.address) as proxy:
        proxy.send(data + get())
        raw = proxy.read_all()
    assert raw.startswith(b'HTTP/1.1 400 ')
    assert raw.count(b'HTTP/1.1 ') == 1


@pytest.mark.parametrize('header', [LINE, version_2(V4)])
def test_a_header_of_another_peer_is_refused(header: bytes) -> None:
    with serving(client, trusted_proxy='10.0.0.0/8',
                 proxy_protocol=True) as server:
        with Client(server.address) as other:
            other.send(header + get())
            assert other.read_all().startswith(b'HTTP/1.1 400 ')
        with Client(server.address) as other:
            assert other.get().body.startswith(b"('127.0.0.1', '")


def test_a_second_header_is_refused() -> None:
    with serving(client, **ON) as server, Client(server.address) as proxy:
        proxy.send(LINE + get() + LINE + get())
        assert proxy.response().body == CLIENT
        assert proxy.response().status == 400


@pytest.mark.parametrize('sent', [b'', b'PROXY TCP4 ', SIGNATURE])
def test_a_header_that_does_not_come_ends_the_connection(
        sent: bytes) -> None:
    with serving(client, **ON, header_timeout=0.3, minimum_rate=1,
                 channel_timeout=100) as server, (
            Client(server.address)) as proxy:
        proxy.send(sent)
        began = time.monotonic()
        assert b' 408 ' in proxy.read_all()
        assert time.monotonic() - began > 0.25
        until(lambda: not server.statistics().connections)


def test_slow_bytes_do_not_prolong_the_time_for_a_header() -> None:
    with serving(client, **ON, header_timeout=0.3,
                 minimum_rate=1) as server, Client(server.address) as proxy:
        proxy.sock.settimeout(0.05)
        for byte in b'PROXY UNKNOWN ' + b'x' * 80:
            try:
                proxy.send(bytes([byte]))
                if not proxy.receive():
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail('the connection is still there')
        assert b' 408 ' in proxy.raw


def fields_of(fields: bytes, header: bytes = LINE, **options: Any) -> bytes:
    """Return the client, as the application sees it."""
    with serving(client, **ON, **options) as server, (
            Client(server.address)) as proxy:
        proxy.send(header)
        return proxy.get(fields=fields).body


def test_fields_behind_a_header_are_believed_only_if_they_are_named() -> None:
    """A proxy of TCP hands on whatever its clients send."""
    spoofed = b'X-Forwarded-For: 198.51.100.1\r\n'
    assert fields_of(spoofed) == CLIENT
    assert fields_of(spoofed, trusted_proxy_headers='x-forwarded-for') == (
        CLIENT)


@pytest.mark.parametrize('names, field', [
    ('x-forwarded-for', b'X-Forwarded-For: 198.51.100.1\r\n'),
    ('forwarded', b'Forwarded: for=198.51.100.1\r\n')])
@pytest.mark.parametrize('count', [0, 2])
def test_a_proxy_before_the_one_of_the_header_is_believed(
        names: str, field: bytes, count: int) -> None:
    inner = b'PROXY TCP4 10.0.0.1 127.0.0.1 4711 80\r\n'
    assert fields_of(field, inner, trusted_proxy_headers=names,
                     trusted_proxy_count=count) == (
        b"('198.51.100.1', None, '127.0.0.1')")


def test_a_scheme_behind_a_header() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response('200 OK', PLAIN)
        return [environ['wsgi.url_scheme'].encode(), b' ',
                environ['REMOTE_ADDR'].encode()]
    for names, field in {
            'x-forwarded-proto': b'X-Forwarded-Proto: https\r\n',
            'forwarded': b'Forwarded: for=192.0.2.1;proto=https\r\n'}.items():
        with serving(application, **ON,
                     trusted_proxy_headers=names) as server, (
                Client(server.address)) as proxy:
            proxy.send(LINE)
            assert proxy.get(fields=field).body == b'https 192.0.2.1'


def test_the_access_log_shows_the_client_of_a_header(tmp_path: Path) -> None:
    path = tmp_path / 'access.log'
    with serving(hello, **ON, access_log=str(path)) as server, (
            Client(server.address)) as proxy:
        proxy.send(LINE)
        proxy.get()
        proxy.send(b'bad\r\n\r\n')
        proxy.read_all()
    good, refused = path.read_text().splitlines()
    for line in (good, refused):
        assert line.startswith('192.0.2.1 - - [')
        assert line.endswith(' 127.0.0.1')


def test_a_drain_ends_a_connection_without_a_header() -> None:
    with serving(client, **ON) as server, Client(server.address) as proxy:
        until(lambda: server.statistics().connections == 1)
        assert server.drain(10) == 0
        assert proxy.read_all() == b''
