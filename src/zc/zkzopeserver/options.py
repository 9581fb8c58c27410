"""The options of the server section: declared once, here.

Each row of `TABLE` names an option, its parser, its default and its meaning.
The runner parses with it, the recipe validates and writes the ini with it,
``--help`` and the README's table are made from it.

Values arrive as strings, from an ini or from a buildout section.  All that is
wrong is reported together.
"""
from __future__ import annotations

import ast
import dataclasses
import difflib
import re
import socket
import textwrap
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

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


class Bad(ValueError):
    """A parser's refusal: what is allowed, and what was found instead.

    `found` is the part that is wrong, when it is not the whole value.
    """

    def __init__(self, allowed: str, found: str | None = None) -> None:
        self.allowed = allowed
        self.found = found
        super().__init__(allowed)


# Parsers: text in, value out, `Bad` with what is allowed.

def text(value: str) -> str:
    """Any text that is not empty."""
    value = value.strip()
    if not value:
        raise Bad('some text')
    return value


def line(value: str) -> str:
    """One line of printable text."""
    value = text(value)
    if not value.isprintable():
        raise Bad('one line of printable text')
    return value


def token(value: str) -> str:
    """Text for a header field: visible ASCII and spaces."""
    value = text(value)
    if not (value.isascii() and value.isprintable()):
        raise Bad('one line of printable ASCII text')
    return value


def host(value: str) -> str:
    """A host name or an IP address; brackets around IPv6 are dropped."""
    value = value.strip()
    if value.startswith('[') and value.endswith(']'):
        value = value[1:-1]
        if not is_ipv6(value):
            raise Bad('an IPv6 address between the brackets')
    if not value or is_ipv6(value):
        return value
    if not re.fullmatch(r'[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?', value):
        raise Bad('a host name or an IP address, without a port')
    return value


def is_ipv6(value: str) -> bool:
    """Whether the text is an IPv6 address, a zone (``%eth0``) allowed."""
    try:
        socket.inet_pton(socket.AF_INET6, value.partition('%')[0])
    except (OSError, ValueError):
        return False
    return True


def number(low: int, high: int) -> Callable[[str], int]:
    """Whole numbers from `low` to `high`."""
    def parse(value: str) -> int:
        value = value.strip()
        if not (re.fullmatch('[0-9]{1,18}', value)
                and low <= int(value) <= high):
            raise Bad(f'a whole number from {low} to {high}')
        return int(value)
    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Seconds, with a decimal point if wanted."""
    def parse(value: str) -> float:
        value = value.strip()
        if not (re.fullmatch(r'[0-9]{1,9}(\.[0-9]{1,9})?', value)
                and low <= float(value) <= high):
            raise Bad(f'seconds from {low:g} to {high:g}')
        return float(value)
    return parse


SIZE_UNITS = {'': 1, 'B': 1, 'K': 2 ** 10, 'M': 2 ** 20, 'G': 2 ** 30,
              'T': 2 ** 40}


def size(value: str) -> int:
    """Bytes, as ``65536``, ``64 KiB``, ``64K`` or ``1 GiB``: powers of two."""
    match = re.fullmatch(r'([0-9]{1,15})\s*([KMGT]?)(?:i?B)?', value.strip(),
                         re.IGNORECASE)
    if not match or not int(match[1]):
        raise Bad('a size of at least one byte, such as 65536, 64 KiB or'
                  ' 1 GiB')
    return int(match[1]) * SIZE_UNITS[match[2].upper()]


BOOLEANS = {'true': True, 'yes': True, 'on': True, '1': True,
            'false': False, 'no': False, 'off': False, '0': False}


def boolean(value: str) -> bool:
    """true or false; yes, no, on, off, 1 and 0 are the same."""
    try:
        return BOOLEANS[value.strip().lower()]
    except KeyError:
        raise Bad('true or false') from None


def choice(*words: str) -> Callable[[str], str]:
    """One of the words."""
    def parse(value: str) -> str:
        value = value.strip()
        if value not in words:
            raise Bad(', '.join(words[:-1]) + ' or ' + words[-1])
        return value
    return parse


def split_address(value: str) -> tuple[str, int]:
    """``HOST:PORT`` -> (host, port); an IPv6 host stands in brackets."""
    name, colon, port_text = value.strip().rpartition(':')
    if (not colon or not re.fullmatch('[0-9]{1,5}', port_text)
            or int(port_text) > 65535):
        raise Bad('HOST:PORT')
    if ':' in name and not name.startswith('['):
        raise Bad('HOST:PORT, an IPv6 host as [::1]')
    return host(name), int(port_text)


def connection(value: str) -> str:
    """A ZooKeeper connection string, with an optional chroot."""
    value = re.sub(r'\s*,\s*', ',', value.strip())
    allowed = 'HOST:PORT[,HOST:PORT...][/CHROOT]'
    servers, slash, chroot = value.partition('/')
    try:
        for server in servers.split(','):
            name, port_number = split_address(server)
            if not name or not port_number:
                raise Bad(allowed)
        if slash:
            znode('/' + chroot)
    except Bad:
        raise Bad(allowed) from None
    return value


def znode(value: str) -> str:
    """An absolute ZooKeeper path (``.`` and ``..`` are resolved later)."""
    value = value.strip()
    if (not value.startswith('/') or '//' in value
            or value != '/' and value.endswith('/')
            or not value.isprintable()):
        raise Bad('an absolute path such as /fooservice/providers')
    return value


def monitor_address(value: str) -> tuple[str, int] | str:
    """``HOST:PORT`` (the host may be empty) or a unix socket's path."""
    value = value.strip()
    if '/' in value:
        if not value.isprintable():
            raise Bad('HOST:PORT or the path of a unix socket')
        return value
    try:
        return split_address(value)
    except Bad:
        raise Bad('HOST:PORT or the path of a unix socket') from None


def advertised(value: str) -> str:
    """``HOST``, ``HOST:PORT``, ``interface:NAME`` or ``route``."""
    value = value.strip()
    allowed = 'HOST, HOST:PORT, interface:NAME or route'
    kind, colon, name = value.partition(':')
    if kind == 'interface' and colon:
        if not re.fullmatch(r'[^\s/]{1,15}', name):
            raise Bad(allowed)
        return value
    try:
        if is_ipv6(value) or not colon or value.endswith(']'):
            if host(value):
                return value
        else:
            address = split_address(value)
            if address[0] and address[1]:
                return value
    except Bad:
        pass
    raise Bad(allowed)


RESERVED = 'monitor', 'pid'


def properties(value: str) -> dict[str, Any]:
    """``name = literal`` lines; the names of our own data are refused."""
    result: dict[str, Any] = {}
    for entry in value.splitlines():
        entry = entry.strip()
        if not entry or entry.startswith('#'):
            continue
        name, equals, literal = entry.partition('=')
        name = name.strip()
        if not equals or not name:
            raise Bad('a line `name = literal`', entry)
        if name in RESERVED:
            raise Bad('a free name: the server itself sets '
                      + ' and '.join(RESERVED), name)
        if name in result:
            raise Bad(f'the only line for {name!r}', entry)
        result[name] = _literal(literal.strip(), entry)
    return result


def _literal(literal: str, entry: str) -> Any:
    try:
        found = ast.literal_eval(literal)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise Bad('a name, `=` and a Python literal', entry) from None
    if not _is_json(found):
        raise Bad('a value that JSON can hold', entry)
    return found


def _is_json(found: object) -> bool:
    if isinstance(found, dict):
        return all(isinstance(key, str) and _is_json(item)
                   for key, item in found.items())
    if isinstance(found, (list, tuple)):
        return all(map(_is_json, found))
    if isinstance(found, float):
        return found == found and abs(found) != float('inf')
    return found is None or isinstance(found, (str, int))


def url_path(value: str) -> str:
    """A path to ask the server for: ``/ready?deep=1``."""
    value = value.strip()
    if not re.fullmatch(r'/[!-~]*', value):
        raise Bad('a path such as /ready')
    return value


LEVELS = 'CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG'


def loggers(value: str) -> str:
    """A level's name, or ZConfig text with ``<logger>`` sections."""
    value = value.strip()
    if value.upper() in LEVELS or re.fullmatch('[0-9]{1,3}', value):
        return value.upper()
    if '<' in value:
        return value
    raise Bad('a level (' + ', '.join(LEVELS) + ' or a number) or ZConfig'
              ' text with <logger> sections')


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
    Option('max_request_header_size', size, 64 * 2 ** 10,
           'largest request line and header block; beyond: 431',
           shown='64 KiB', unit='bytes'),
    Option('max_request_body_size', size, 2 ** 30,
           'largest request body; beyond: 413', shown='1 GiB', unit='bytes'),
    Option('connection_limit', number(1, 1_000_000), 1000,
           'open connections; further ones wait in the listen queue'),
    Option('channel_timeout', seconds(0.1, 86_400), 120.0,
           'how long an idle connection is kept', shown='120', unit='s'),
    Option('backlog', number(1, 65_535), 1024, 'length of the listen queue'),
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
