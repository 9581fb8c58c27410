"""Every setting of the server, declared once: an `Option` row for each.

`Settings` holds the limits of the engine, and each of its fields carries its
row; `LISTENING` has the rows of the other arguments of `Server`, and of its
stop.  The runner, the documents and zc.zkzopeserver's options are made of
these rows.
"""
from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from zope.server.values import InvalidValue
from zope.server.values import boolean
from zope.server.values import format_size
from zope.server.values import invalid_option
from zope.server.values import line
from zope.server.values import number
from zope.server.values import parse_host
from zope.server.values import seconds
from zope.server.values import shorten
from zope.server.values import size
from zope.server.values import token
from zope.server.values import unknown_option

T = TypeVar('T')
REQUIRED = object()
DAY_S = 86_400
HOUR_S = 3_600


class SettingsError(ValueError):
    """Settings that are wrong; `problems` has a sentence for each.

    It is a ValueError, as PasteDeploy rewrites a TypeError that a server
    runner raises.  A program that prints it exits with `exit_status`.
    """

    exit_status = 2

    def __init__(self, problems: list[str], where: str = '') -> None:
        self.problems = list(problems)
        self.where = where
        super().__init__('\n'.join(self.lines()))

    def lines(self) -> list[str]:
        """Return a line for each problem; `where` is at its beginning."""
        prefix = f'{self.where}: ' if self.where else ''
        return [prefix + problem for problem in self.problems]


@dataclasses.dataclass(frozen=True)
class Option:
    """A row: the declaration of one setting, and of its option in an ini.

    `parse` returns the value that a text stands for, or raises InvalidValue.
    `default` is the value of an option that is absent; REQUIRED: it must not
    be absent.  `default_label` is what documents show for the default, if
    that is not the default as text.
    """

    name: str
    parse: Callable[[str], Any]
    default: Any
    meaning: str
    default_label: str = ''
    unit: str = ''

    @property
    def is_required(self) -> bool:
        """Whether a section without this option is refused."""
        return self.default is REQUIRED

    @property
    def default_text(self) -> str:
        """The default as documents show it."""
        if self.default_label:
            return self.default_label
        if self.is_required:
            return 'required'
        if self.default is None:
            return 'none'
        if self.default == '':
            return "''"
        if self.unit == 'bytes':
            return format_size(self.default)
        return as_text(self.default)

    def problem(self, value: object) -> str | None:
        """Return what is wrong with a value given in Python, None if right.

        A value is right if its text stands for it.
        """
        try:
            is_right = self.parse(as_text(value)) == value
        except InvalidValue as error:
            wrong = f'is not {error.allowed}'
        else:
            if is_right:
                return None
            wrong = f'is not of type {type(self.default).__name__}'
        return f'setting {self.name!r}: {shorten(value)} {wrong}'


def as_text(value: object) -> str:
    """Return the text that stands for a value in an ini."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # Without an exponent, and exact: float() returns the same value.
        return f'{value:.18f}'.rstrip('0').rstrip('.')
    return str(value)


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
        'zope.server', token, 'the Server header of responses')
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

    def __post_init__(self) -> None:
        problems = [row.problem(getattr(self, row.name))
                    for row in ROWS.values()]
        found = [problem for problem in problems if problem is not None]
        if found:
            raise SettingsError(found)


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
)}


def rows() -> tuple[Option, ...]:
    """Return the row of each setting, in the order of documents."""
    return *LISTENING.values(), *ROWS.values()


def parse_texts(table: Mapping[str, Option], texts: Mapping[str, str],
                ) -> tuple[dict[str, Any], list[str]]:
    """Parse options by name; return (values of the right ones, problems).

    An empty text stands for the default where that is the empty text.
    """
    values: dict[str, Any] = {}
    problems = [unknown_option(name, table) for name in texts
                if name not in table]
    for name, option in table.items():
        if name not in texts or (
                option.default == '' and not texts[name].strip()):
            if option.is_required:
                problems.append(
                    f'option {name!r} is required: {option.meaning}')
            continue
        try:
            values[name] = option.parse(texts[name])
        except InvalidValue as error:
            problems.append(invalid_option(name, texts[name], error))
    return values, problems


def option_reference(options: Iterable[Option]) -> str:
    """Return what documents say of options: a definition list in reST."""
    entries = []
    for option in options:
        unit = f' ({option.unit})' if option.unit else ''
        default = option.default_text
        if default == 'none':
            default = 'optional'
        elif default != 'required':
            default = f'default {default}'
        meaning = textwrap.fill(
            option.meaning.replace('`', '``'), 75, initial_indent='    ',
            subsequent_indent='    ', break_long_words=False,
            break_on_hyphens=False)
        entries.append(f'``{option.name}``{unit}, {default}\n{meaning}\n')
    return '\n'.join(entries)
