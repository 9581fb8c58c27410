"""The options of the server section: declared once, here.

Each row of `TABLE` names an option, its parser, its default and its meaning.
The runner parses with it, the recipe validates and writes the ini with it,
``--help`` and the README's table are made from it.

Values arrive as strings, from an ini or from a buildout section.  All that is
wrong is reported together.
"""
from __future__ import annotations

import dataclasses
import difflib
import textwrap
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from zc.zkzopeserver.options.values import Bad
from zc.zkzopeserver.options.values import advertised
from zc.zkzopeserver.options.values import boolean
from zc.zkzopeserver.options.values import choice
from zc.zkzopeserver.options.values import connection
from zc.zkzopeserver.options.values import host
from zc.zkzopeserver.options.values import line
from zc.zkzopeserver.options.values import loggers
from zc.zkzopeserver.options.values import monitor_address
from zc.zkzopeserver.options.values import number
from zc.zkzopeserver.options.values import properties
from zc.zkzopeserver.options.values import seconds
from zc.zkzopeserver.options.values import size
from zc.zkzopeserver.options.values import token
from zc.zkzopeserver.options.values import url_path
from zc.zkzopeserver.options.values import znode

REQUIRED = object()


class OptionsError(ValueError):
    """The options are not right; `problems` has a sentence for each.

    A ValueError, because PasteDeploy rewrites a TypeError of a runner.
    """

    def __init__(self, problems: list[str], where: str = '') -> None:
        self.problems = list(problems)
        self.where = where
        super().__init__('\n'.join(self.lines()))

    exit_status = 2

    def lines(self) -> list[str]:
        """A line for each problem, each beginning with where it is."""
        prefix = f'{self.where}: ' if self.where else ''
        return [prefix + problem for problem in self.problems]


@dataclasses.dataclass(frozen=True)
class Option:
    """A row of the table.

    `default` is what `Options` gives when the option is absent; `shown` is
    how documents show it.
    """

    name: str
    parse: Callable[[str], Any]
    default: Any
    meaning: str
    shown: str = ''
    unit: str = ''

    @property
    def is_required(self) -> bool:
        """Whether a section without it is refused."""
        return self.default is REQUIRED

    @property
    def default_text(self) -> str:
        """The default as documents show it."""
        if self.shown:
            return self.shown
        if self.is_required:
            return 'required'
        if self.default is None:
            return 'none'
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return str(self.default)


TABLE: tuple[Option, ...] = (
    Option('zookeeper', connection, REQUIRED,
           'the ZooKeeper servers: HOST:PORT[,HOST:PORT...][/CHROOT]'),
    Option('path', znode, REQUIRED,
           'absolute path of the providers node; symbolic links (`name ->`)'
           ' are followed'),
    Option('host', host, '',
           'name or IP address to listen on; empty is all interfaces; IPv6 as'
           ' ::1 or [::1]', shown="''"),
    Option('port', number(0, 65535), 0,
           'port to listen on; 0: the operating system picks'),
    Option('session_timeout', number(100, 3_600_000), 10_000,
           'ZooKeeper session timeout; decides how long clients see a server'
           ' that was killed', unit='ms'),
    Option('threads', number(1, 1000), 1,
           'threads that run the application'),
    Option('monitor_server', monitor_address, None,
           'address of the monitor server: HOST:PORT, the host may be empty,'
           ' or the path of a unix socket'),
    Option('loggers', loggers, None,
           'a log level, or ZConfig text with <logger> sections, in which'
           ' formats are written as $$(message)s'),
    Option('zservertracelog', boolean, False,
           'trace records of each request on the logger zc.tracelog'),
    Option('name', token, 'zc.zkzopeserver',
           'the Server header of responses'),
    Option('advertise', advertised, None,
           'what to register instead of the bound address: HOST, HOST:PORT,'
           ' interface:NAME, or route (the address from which ZooKeeper is'
           ' reached)'),
    Option('properties', properties, {},
           'more properties of the node, a `name = literal` a line',
           shown='none'),
    Option('wait', choice('fail', 'wait', 'serve'), 'fail',
           'when ZooKeeper cannot be reached at start: fail, wait, or serve'
           ' (serve now, register when it is there)'),
    Option('ready', url_path, None,
           'a path that must answer 2xx or 3xx through the server\'s own'
           ' socket before the server is registered'),
    Option('ready_timeout', seconds(0.1, 86_400), 60.0,
           'how long `ready` may take', shown='60', unit='s'),
    Option('deregister_wait', seconds(0, 3_600), 1.0,
           'time between removing the node and closing the listening socket',
           shown='1', unit='s'),
    Option('graceful_timeout', seconds(0, 86_400), 30.0,
           'time that requests in flight get to finish at a stop',
           shown='30', unit='s'),
    Option('workers', number(1, 1000), 1,
           'processes, each with a port and a node of its own'),
    Option('access_log', line, None,
           'file of the access log, - for stdout: combined format with the'
           ' time taken'),
    Option('connection_limit', number(1, 1_000_000), 1000,
           'open connections; further ones wait in the listen queue'),
    Option('backlog', number(1, 65_535), 1024, 'length of the listen queue'),
    Option('channel_timeout', seconds(0.1, 86_400), 120.0,
           'how long an idle connection is kept', shown='120', unit='s'),
    Option('header_timeout', seconds(0.1, 86_400), 30.0,
           'how long the request line and header block may take; beyond: 408',
           shown='30', unit='s'),
    Option('body_timeout', seconds(0.1, 86_400), 60.0,
           'how long a request body may take; beyond: 408', shown='60',
           unit='s'),
    Option('send_timeout', seconds(0.1, 86_400), 60.0,
           'how long a client may take to read a response', shown='60',
           unit='s'),
    Option('minimum_rate', number(1, 2 ** 30), 500,
           'who sends or reads so much may take longer than these three'
           ' times, for as long as it goes on', unit='bytes/s'),
    Option('linger_timeout', seconds(0, 3_600), 2.0,
           'how long what a client still sends is read and dropped after the'
           ' last response, so that it gets that', shown='2', unit='s'),
    Option('max_request_line', size, 16 * 2 ** 10,
           'largest request line; beyond: 414', shown='16 KiB',
           unit='bytes'),
    Option('max_request_header_size', size, 64 * 2 ** 10,
           'largest request line and header block; beyond: 431',
           shown='64 KiB', unit='bytes'),
    Option('max_request_fields', number(1, 100_000), 200,
           'header fields of a request, and trailer fields; beyond: 431'),
    Option('max_request_body_size', size, 2 ** 30,
           'largest request body; beyond: 413', shown='1 GiB', unit='bytes'),
    Option('max_chunk_framing', size, 16 * 2 ** 10,
           'largest sum of the chunk extensions and trailers of a body;'
           ' beyond: 400', shown='16 KiB', unit='bytes'),
    Option('body_spool_size', size, 2 ** 20,
           'request bodies that are larger wait in a temporary file',
           shown='1 MiB', unit='bytes'),
    Option('body_memory', size, 64 * 2 ** 20,
           'memory for all request bodies together; further ones wait in'
           ' temporary files', shown='64 MiB', unit='bytes'),
    Option('output_buffer_size', size, 256 * 2 ** 10,
           'how much of a response is kept in memory for a client that reads'
           ' it slowly', shown='256 KiB', unit='bytes'),
    Option('output_spool_size', size, 16 * 2 ** 20,
           'how much more of it is kept in a temporary file; beyond, the'
           ' application waits', shown='16 MiB', unit='bytes'),
    Option('zookeeper_auth_file', line, None,
           'file with `digest USER:PASSWORD`, refused when others can read'
           ' it; nodes then are creator-all and world-readable'),
    Option('zookeeper_ca', line, None,
           'file of the certificate authorities for TLS to ZooKeeper'),
    Option('zookeeper_cert', line, None,
           'file of our certificate for TLS to ZooKeeper'),
    Option('zookeeper_key', line, None,
           'file of our key for TLS to ZooKeeper'),
)

BY_NAME = {option.name: option for option in TABLE}


class Options:
    """The parsed options of a server section, as attributes.

    Times keep the unit of the table; `session_timeout_s` is the session
    timeout in seconds, as kazoo takes it.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        for option in TABLE:
            setattr(self, option.name, values.get(option.name,
                                                  option.default))

    @property
    def session_timeout_s(self) -> float:
        """The session timeout in seconds."""
        return self.session_timeout / 1000

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f'no option {name!r}')


def parse(raw: Mapping[str, str], where: str = '') -> Options:
    """Strings of a section -> `Options`; OptionsError with all problems.

    `where` (``[server:main] of web.ini``) begins each problem's line.
    """
    values, problems = check(raw)
    if problems:
        raise OptionsError(problems, where)
    return Options(values)


def check(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Strings of a section -> (values of what is right, problems)."""
    values: dict[str, Any] = {}
    problems = [unknown(name, BY_NAME) for name in raw if name not in BY_NAME]
    for option in TABLE:
        if option.name not in raw or (
                option.default == '' and not raw[option.name].strip()):
            if option.is_required:
                problems.append(
                    f'option {option.name!r} is required: {option.meaning}')
            continue
        try:
            values[option.name] = option.parse(raw[option.name])
        except Bad as bad:
            found = raw[option.name] if bad.found is None else bad.found
            problems.append(f'option {option.name!r}: {shorten(found)} is not'
                            f' {bad.allowed}')
    problems += conflicts(values)
    return values, problems


def conflicts(values: Mapping[str, Any]) -> list[str]:
    """What is wrong between options that are right by themselves."""
    problems = []
    if values.get('workers', 1) > 1:
        if values.get('port'):
            problems.append(
                "option 'port': with more than one of 'workers' each takes a"
                " port of its own, so it must be 0")
        address = values.get('monitor_server')
        if isinstance(address, str) or address and address[1]:
            problems.append(
                "option 'monitor_server': with more than one of 'workers'"
                " each takes a port of its own, so it must be HOST:0")
    if ('zookeeper_cert' in values) != ('zookeeper_key' in values):
        problems.append(
            "options 'zookeeper_cert' and 'zookeeper_key' go together")
    return problems


def reference() -> str:
    """The table as documents have it: a definition list, a row an option."""
    entries = []
    for option in TABLE:
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


def unknown(name: str, known: Mapping[str, Any]) -> str:
    """The problem of a name that is not an option."""
    near = difflib.get_close_matches(name, known, 1)
    hint = (f'did you mean {near[0]!r}?' if near
            else 'known are ' + ', '.join(sorted(known)))
    return f'unknown option {name!r} ({hint})'


def shorten(value: str, limit: int = 60) -> str:
    """A value as an error message quotes it."""
    quoted = repr(value)
    return quoted if len(quoted) <= limit else quoted[:limit - 3] + "...'"
