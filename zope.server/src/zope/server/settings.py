"""Every setting of the server, declared once: an `Option` row for each.

`Settings` holds the limits of the engine, and each of its fields carries its
row; `LISTENING` has the rows of the other arguments of `Server`, and of its
stop.  The runner, the documents and zc.zkzopeserver's options are made of
these rows.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from zope.server.options import Option
from zope.server.options import SettingsError
from zope.server.values import boolean
from zope.server.values import choice
from zope.server.values import line
from zope.server.values import networks
from zope.server.values import number
from zope.server.values import optional_token
from zope.server.values import parse_host
from zope.server.values import prefix
from zope.server.values import proxy_headers
from zope.server.values import seconds
from zope.server.values import size
from zope.server.values import switch_interval

T = TypeVar('T')
DAY_S = 86_400
HOUR_S = 3_600


def setting(default: T, parse: Callable[[str], T], meaning: str,
            unit: str = '') -> T:
    """Return the dataclass field of a setting, which carries its row."""
    return dataclasses.field(default=default, metadata={
        'parse': parse, 'meaning': meaning, 'unit': unit})


@dataclasses.dataclass(frozen=True)
class Settings:
    """The limits of the engine: sizes in bytes, times in seconds.

    Raise SettingsError, with a sentence for each value that is not allowed.
    """

    threads: int = setting(
        1, number(1, 1000),
        'threads that run the application; further requests wait')
    name: str = setting(
        'zope.server', optional_token,
        'the Server header of responses; empty: they have none')
    multiprocess: bool = setting(
        False, boolean,
        'whether other processes run the application, too:'
        ' `wsgi.multiprocess` of requests')
    use_epoll: bool = setting(
        True, boolean,
        'wait for connections with epoll(7); with poll(2) if false, or where'
        ' the system has no epoll')
    connection_limit: int = setting(
        1000, number(1, 1_000_000),
        'open connections; further ones wait in the listen queue')
    channel_timeout: float = setting(
        120.0, seconds(0.1, DAY_S),
        'idle connections are closed after this time', 's')
    header_timeout: float = setting(
        30.0, seconds(0.1, DAY_S),
        'time for a client to send the request line and header block;'
        ' beyond: 408', 's')
    body_timeout: float = setting(
        60.0, seconds(0.1, DAY_S),
        'time for a client to send a request body; beyond: 408', 's')
    send_timeout: float = setting(
        60.0, seconds(0.1, DAY_S),
        'time for a client to read a response; beyond: the connection is'
        ' closed', 's')
    minimum_rate: int = setting(
        500, number(1, 2 ** 30),
        'slower clients are disconnected once header_timeout, body_timeout or'
        ' send_timeout has passed; faster ones may take longer', 'bytes/s')
    linger_timeout: float = setting(
        2.0, seconds(0, HOUR_S),
        'lingering close: after the last response, client data is read and'
        ' discarded for this time, so that the response is not lost', 's')
    max_request_line: int = setting(
        16 * 2 ** 10, size, 'largest request line; beyond: 414', 'bytes')
    max_request_header_size: int = setting(
        64 * 2 ** 10, size,
        'largest request line and header block; beyond: 431', 'bytes')
    max_request_fields: int = setting(
        200, number(1, 100_000),
        'header fields of a request, and trailer fields of a chunked body;'
        ' beyond: 431')
    max_request_body_size: int = setting(
        2 ** 30, size, 'largest request body; beyond: 413', 'bytes')
    max_chunk_framing: int = setting(
        16 * 2 ** 10, size,
        'largest sum of the chunk extensions and trailers of a body;'
        ' beyond: 400', 'bytes')
    body_spool_size: int = setting(
        2 ** 20, size,
        'larger request bodies are spooled to a temporary file', 'bytes')
    body_memory: int = setting(
        64 * 2 ** 20, size,
        'memory for all request bodies together; once it is full, further'
        ' bodies are spooled to temporary files', 'bytes')
    output_buffer_size: int = setting(
        256 * 2 ** 10, size,
        'response bytes kept in memory for a client that reads slowly',
        'bytes')
    output_spool_size: int = setting(
        16 * 2 ** 20, size,
        'response bytes spooled to disk once output_buffer_size is full;'
        ' beyond that, writes block', 'bytes')
    trusted_proxy: str = setting(
        '', networks,
        'addresses and networks of proxies, separated by commas: these are'
        ' believed, and what other peers say as proxies do is removed')
    trusted_proxy_headers: str = setting(
        '', proxy_headers,
        'fields of trusted proxies that are believed: `x-forwarded-` with'
        ' `for`, `proto`, `host`, `port` or `by`, or `forwarded` alone;'
        ' without it `x-forwarded-for, x-forwarded-proto`, and with'
        ' `proxy_protocol` none')
    trusted_proxy_count: int = setting(
        0, number(0, 100),
        'proxies that a request comes through, each of which adds to these'
        ' fields; 0: the client is the last address that is no trusted proxy')
    proxy_protocol: bool = setting(
        False, boolean,
        'whether trusted proxies begin each connection with a PROXY header,'
        ' version 1 or 2, as HAProxy\'s `send-proxy` does')
    url_scheme: str = setting(
        'http', choice('http', 'https'),
        'scheme of URLs, http or https, where no trusted proxy tells another')
    url_prefix: str = setting(
        '', prefix,
        'URL path below which a proxy publishes the application, as'
        ' SCRIPT_NAME; taken from paths that begin with it')

    def __post_init__(self) -> None:
        # Not `vars`: reading the attributes would take longer afterwards.
        values = {name: getattr(self, name) for name in ROWS}
        problems = [problem for name, row in ROWS.items() if (
            problem := row.problem(values[name])) is not None]
        problems += conflicts(values, 'setting')
        if problems:
            raise SettingsError(problems)


def conflicts(values: Mapping[str, Any], kind: str = 'option') -> list[str]:
    """Return the problems between settings that are right by themselves."""
    if values.get('trusted_proxy'):
        return []
    return [f"{kind} {name!r}: without 'trusted_proxy' no proxy is trusted"
            for name in ('trusted_proxy_headers', 'trusted_proxy_count',
                         'proxy_protocol') if values.get(name)]


# The row of each field of `Settings`, by its name.
ROWS = {field.name: Option(name=field.name, default=field.default,
                           **field.metadata)
        for field in dataclasses.fields(Settings)}

# The rows of what `Server` takes beyond `Settings`, and of its stop.
LISTENING = {row.name: row for row in (
    Option('host', parse_host, '',
           'name or IP address to listen on; empty is all interfaces; IPv6'
           ' as ::1 or [::1]'),
    Option('port', number(0, 65_535), 0,
           'port to listen on; 0: the operating system picks'),
    Option('backlog', number(1, 65_535), 1024,
           'length of the listen queue (listen(2)): connections that wait'
           ' to be accepted'),
    Option('access_log', line, None,
           'file of the access log, - for stdout: combined format with the'
           ' time taken'),
    Option('zservertracelog', boolean, False,
           'log trace records of each request, on the logger zc.tracelog'),
    Option('graceful_timeout', seconds(0, DAY_S), 30.0,
           'time for requests in flight to finish at a stop; beyond, they'
           ' are cut off', unit='s'),
    Option('switch_interval', switch_interval, 0.002,
           'time that a thread computes before another one gets its turn, in'
           ' the whole process: with a shorter one, quick requests wait less'
           ' for those that compute; 0: that of Python, 0.005; one that the'
           ' application has set stays', unit='s'),
)}


def rows() -> tuple[Option, ...]:
    """Return the row of each setting, in the order of documents."""
    return *LISTENING.values(), *ROWS.values()
