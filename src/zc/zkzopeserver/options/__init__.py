"""The options of the server section: declared once.

Each row of `TABLE` names an option, its parser, its default and its meaning.
The rows of what zope.server can do are zope.server's own.  The runner parses
with the table, the recipe validates and writes the ini with it, ``--help``
and the table in the documents are made of it.

Values arrive as strings, from an ini or from a buildout section.  All that is
wrong is reported together.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from zope.server.options import REQUIRED
from zope.server.options import Option
from zope.server.options import SettingsError
from zope.server.options import option_reference
from zope.server.options import parse_texts
from zope.server.settings import LISTENING
from zope.server.settings import ROWS
from zope.server.settings import conflicts as http_conflicts
from zope.server.values import choice
from zope.server.values import line
from zope.server.values import number
from zope.server.values import seconds
from zope.server.values import size

from zc.zkzopeserver.options.values import Keep
from zc.zkzopeserver.options.values import advertised
from zc.zkzopeserver.options.values import connection
from zc.zkzopeserver.options.values import file_names
from zc.zkzopeserver.options.values import hooks
from zc.zkzopeserver.options.values import keep
from zc.zkzopeserver.options.values import listening_address
from zc.zkzopeserver.options.values import loggers
from zc.zkzopeserver.options.values import monitor_address
from zc.zkzopeserver.options.values import probed_host
from zc.zkzopeserver.options.values import properties
from zc.zkzopeserver.options.values import url_path
from zc.zkzopeserver.options.values import znode


class OptionsError(SettingsError):
    """Options that are wrong; `problems` has a sentence for each."""


# The default of `switch_interval` with `metrics`: who reads them waits this
# long for each thread that computes.
SCRAPED_S = 0.001

TABLE: tuple[Option, ...] = (
    Option('zookeeper', connection, REQUIRED,
           'the ZooKeeper servers: HOST:PORT[,HOST:PORT...][/CHROOT]'),
    Option('path', znode, REQUIRED,
           'absolute path of the providers node; symbolic links (`name ->`)'
           ' are followed'),
    LISTENING['host'],
    LISTENING['port'],
    # zc.zkzopeserver 1.3 took seconds: say which unit is wanted.
    Option('session_timeout', number(
        100, 3_600_000, 'a whole number of milliseconds'), 10_000,
           'ZooKeeper session timeout: a server whose machine has failed stays'
           ' registered for this time', unit='ms'),
    ROWS['threads'],
    LISTENING['switch_interval'],
    Option('monitor_server', monitor_address, None,
           'address of the monitor server: HOST:PORT, the host may be empty,'
           ' or the path of a unix socket'),
    Option('monitor_control', choice('local', 'any'), 'local',
           'whose monitor commands may change something (drain, deregister,'
           ' register, loglevel): those of clients on this machine (local),'
           ' or of any that can connect'),
    Option('metrics', listening_address, None,
           'address at which Prometheus reads metrics, by HTTP at /metrics:'
           ' HOST:PORT, the host may be empty; `switch_interval` is'
           f' {SCRAPED_S} then, unless it is set'),
    Option('node_format', choice('plain', 'nerve', 'serverset'), 'plain',
           'further properties of the node: those that nerve writes (for'
           ' synapse, and for Prometheus\' `nerve_sd_configs`), or those of'
           ' Finagle\'s ServerSets (`serverset_sd_configs`)'),
    Option('loggers', loggers, None,
           'a log level, or ZConfig text with <logger> sections, in which'
           ' formats are written as $$(message)s'),
    LISTENING['zservertracelog'],
    dataclasses.replace(ROWS['name'], default='zc.zkzopeserver'),
    Option('advertise', advertised, None,
           'address to register instead of the bound one: HOST, HOST:PORT,'
           ' interface:NAME, or route (that from which ZooKeeper is reached)'
           ),
    Option('properties', properties, {},
           'further properties of the node, one `name = literal` in a line',
           default_label='none'),
    Option('wait', choice('fail', 'wait', 'serve'), 'fail',
           'if ZooKeeper cannot be reached at start: fail, wait for it, or'
           ' serve (at once, and register when ZooKeeper is there)'),
    Option('ready', url_path, None,
           'a path that must answer 2xx or 3xx through the server\'s own'
           ' socket before the server is registered'),
    Option('ready_timeout', seconds(0.1, 86_400), 60.0,
           'time for `ready` to answer 2xx or 3xx; beyond: the start fails',
           unit='s'),
    Option('probe_host', probed_host, None,
           'the Host that `ready` and `status` ask for, HOST or HOST:PORT;'
           ' without it, the address that is asked'),
    Option('probe_scheme', choice('http', 'https'), 'http',
           'https: `ready` and `status` say that the client came by TLS, with'
           ' `X-Forwarded-Proto: https` as a proxy does; `trusted_proxy`, if'
           ' set, must have the addresses of this machine'),
    Option('health', url_path, None,
           'a path that is asked through the server\'s own socket as long as'
           ' it serves; while it does not answer 2xx or 3xx, the server leaves'
           ' ZooKeeper'),
    Option('health_interval', seconds(0.05, 86_400), 10.0,
           'time between two questions for `health`', unit='s'),
    Option('health_timeout', seconds(0.05, 86_400), 5.0,
           'time for `health` to answer', unit='s'),
    Option('health_fall', number(1, 1000), 3,
           'bad answers in a row after which the server is unhealthy'),
    Option('health_rise', number(1, 1000), 2,
           'good answers in a row after which it is healthy again'),
    Option('hung_after', seconds(0, 86_400), 30.0,
           'the server leaves ZooKeeper when all threads are busy, none has'
           ' finished a request for this time, and a request waits; 0: never',
           unit='s'),
    Option('hung_kill_after', seconds(0, 86_400), 60.0,
           'further time after which one of several `workers` that hangs is'
           ' ended (others take the place of a quarter of them at once), and'
           ' systemd\'s watchdog of a single process is not fed; 0: never',
           unit='s'),
    Option('keep_registered', keep, Keep(1),
           'a server that is unhealthy or hangs stays in ZooKeeper if fewer'
           ' others than this would be left: a number, or a percentage of all'
           ' such as 50%'),
    Option('deregister_wait', seconds(0, 3_600), 1.0,
           'time between removing the node and closing the listening socket,'
           ' for clients that still have the address', unit='s'),
    LISTENING['graceful_timeout'],
    Option('workers', number(1, 1000), 1,
           'processes, each with a port and a node of its own'),
    Option('orphan_timeout', seconds(0, 3_600), 10.0,
           'with several `workers`: time that they serve on, registered, when'
           ' their parent was killed, for a new parent to take over; 0: none',
           unit='s'),
    Option('session_file', line, None,
           'under pserve and other launchers: the file, such as'
           ' %(here)s/web.session, by which a later start ends the ZooKeeper'
           ' sessions of processes that were killed, and a new parent finds'
           ' the workers of the last one; `bin/NAME` has its own'),
    Option('max_requests', number(0, 10 ** 12), 0,
           'with several `workers`: requests after which a worker is replaced'
           ' by a new one, which is registered first; 0: never'),
    Option('max_requests_jitter', number(0, 10 ** 12), 0,
           'a random number of further requests, from 0 to this, drawn by each'
           ' worker: so not all are used up at the same time'),
    Option('max_memory', size, None,
           'with several `workers`: memory (RSS) of a worker beyond which it'
           ' is replaced likewise; looked at every 5 seconds', unit='bytes'),
    Option('on_starting', hooks, (),
           'functions that are called with the service once it listens, before'
           ' it serves: MODULE:FUNCTION, or a group of entry points',
           default_label='none'),
    Option('when_registered', hooks, (),
           'the same, once the server is in ZooKeeper', default_label='none'),
    Option('on_stopping', hooks, (),
           'the same at a stop, when the node is gone and the server still'
           ' serves', default_label='none'),
    Option('worker_exit', hooks, (),
           'with several `workers`: functions that their parent calls with the'
           ' process id and the exit status of a worker that has ended',
           default_label='none'),
    Option('reload_files', file_names, (),
           'for `fg --reload`: files that are watched besides modules and the'
           ' ini, from the folder of the ini; may have wildcards',
           default_label='none'),
    LISTENING['access_log'],
    ROWS['trusted_proxy'],
    ROWS['trusted_proxy_headers'],
    ROWS['trusted_proxy_count'],
    ROWS['proxy_protocol'],
    ROWS['url_scheme'],
    ROWS['url_prefix'],
    ROWS['connection_limit'],
    LISTENING['backlog'],
    ROWS['channel_timeout'],
    ROWS['header_timeout'],
    ROWS['body_timeout'],
    ROWS['send_timeout'],
    ROWS['minimum_rate'],
    ROWS['linger_timeout'],
    ROWS['max_request_line'],
    ROWS['max_request_header_size'],
    ROWS['max_request_fields'],
    ROWS['max_request_body_size'],
    ROWS['max_chunk_framing'],
    ROWS['body_spool_size'],
    ROWS['body_memory'],
    ROWS['output_buffer_size'],
    ROWS['output_spool_size'],
    Option('zookeeper_auth_file', line, None,
           'file with `digest USER:PASSWORD`, refused unless its owner alone'
           ' can read and write it; nodes then are creator-all and'
           ' world-readable'),
    Option('zookeeper_ca', line, None,
           'file of the certificate authorities for TLS to ZooKeeper'),
    Option('zookeeper_cert', line, None,
           'file of the certificate that the server shows to ZooKeeper'),
    Option('zookeeper_key', line, None,
           'file of the private key for `zookeeper_cert`'),
)

BY_NAME = {option.name: option for option in TABLE}


class Options:
    """The parsed options of a server section, as attributes.

    Times have the unit of the table; `session_timeout_s` is the session
    timeout in seconds, as kazoo takes it.
    """

    zookeeper: str
    path: str
    host: str
    port: int
    session_timeout: int
    threads: int
    switch_interval: float
    monitor_server: tuple[str, int] | str | None
    monitor_control: str
    metrics: tuple[str, int] | None
    node_format: str
    loggers: str | None
    zservertracelog: bool
    name: str
    advertise: str | None
    properties: dict[str, Any]
    wait: str
    ready: str | None
    ready_timeout: float
    probe_host: str | None
    probe_scheme: str
    health: str | None
    health_interval: float
    health_timeout: float
    health_fall: int
    health_rise: int
    hung_after: float
    hung_kill_after: float
    keep_registered: Keep
    deregister_wait: float
    graceful_timeout: float
    workers: int
    orphan_timeout: float
    session_file: str | None
    max_requests: int
    max_requests_jitter: int
    max_memory: int | None
    on_starting: tuple[str, ...]
    when_registered: tuple[str, ...]
    on_stopping: tuple[str, ...]
    worker_exit: tuple[str, ...]
    reload_files: tuple[str, ...]
    access_log: str | None
    trusted_proxy: str
    trusted_proxy_headers: str
    trusted_proxy_count: int
    proxy_protocol: bool
    url_scheme: str
    url_prefix: str
    connection_limit: int
    backlog: int
    channel_timeout: float
    header_timeout: float
    body_timeout: float
    send_timeout: float
    minimum_rate: int
    linger_timeout: float
    max_request_line: int
    max_request_header_size: int
    max_request_fields: int
    max_request_body_size: int
    max_chunk_framing: int
    body_spool_size: int
    body_memory: int
    output_buffer_size: int
    output_spool_size: int
    zookeeper_auth_file: str | None
    zookeeper_ca: str | None
    zookeeper_cert: str | None
    zookeeper_key: str | None

    def __init__(self, values: Mapping[str, Any]) -> None:
        for option in TABLE:
            setattr(self, option.name, values.get(option.name,
                                                  option.default))
        if 'switch_interval' not in values and self.metrics:
            self.switch_interval = SCRAPED_S

    @property
    def session_timeout_s(self) -> float:
        """The session timeout in seconds."""
        return self.session_timeout / 1000

    if not TYPE_CHECKING:
        # A type checker knows the attributes from the annotations alone.
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f'no option {name!r}')


def parse(raw: Mapping[str, str], where: str = '') -> Options:
    """Parse the strings of a section; raise OptionsError with all problems.

    `where` (``[server:main] of web.ini``) begins each problem's line.
    """
    values, problems = check(raw)
    if problems:
        raise OptionsError(problems, where)
    return Options(values)


def check(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return (values of what is right, problems) of a section's strings."""
    values, problems = parse_texts(BY_NAME, raw)
    return values, problems + conflicts(values)


def conflicts(values: Mapping[str, Any]) -> list[str]:
    """Return the problems between options that are right by themselves."""
    problems = http_conflicts(values)
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
        metrics = values.get('metrics')
        if metrics and metrics[1]:
            problems.append(
                "option 'metrics': with more than one of 'workers' each takes"
                " a port of its own, so it must be HOST:0")
    else:
        problems.extend(
            f"option '{name}': only with more than one of 'workers', as a"
            ' single server has no process that replaces it'
            for name in ('max_requests', 'max_memory') if values.get(name))
    if values.get('max_requests_jitter') and not values.get('max_requests'):
        problems.append("option 'max_requests_jitter': only with"
                        " 'max_requests'")
    problems += [
        f"option 'properties': {name!r} is set by the option {option!r}"
        for option, names in set_by(values).items()
        for name in names if name in values.get('properties', {})]
    if ('zookeeper_cert' in values) != ('zookeeper_key' in values):
        problems.append(
            "options 'zookeeper_cert' and 'zookeeper_key' go together")
    return problems


def set_by(values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the properties that options set, by the option's name."""
    formats = {'nerve': ('host', 'port', 'name'),
               'serverset': ('serviceEndpoint', 'additionalEndpoints',
                             'status')}
    return {'metrics': ('metrics',) if values.get('metrics') else (),
            'node_format': formats.get(values.get('node_format', ''), ())}


def reference() -> str:
    """Return the table as documents have it, a definition list in reST."""
    return option_reference(TABLE)
