"""``zookeeper_follow``: keep a proxy's list of servers as ZooKeeper has it."""
from __future__ import annotations

import argparse
import contextlib
import difflib
import logging
import time
from collections.abc import Sequence
from typing import NoReturn

from zc.zk.addresses import parse_server_addr
from zc.zk.client import ZooKeeper
from zc.zk.errors import FailedConnect
from zc.zk.follow.commands import Command
from zc.zk.follow.formats import FORMATS
from zc.zk.follow.formats.format import Format
from zc.zk.follow.formats.haproxy import HAProxy
from zc.zk.follow.loop import Loop
from zc.zk.follow.loop import Signals
from zc.zk.follow.loop import Wakeup
from zc.zk.follow.memory import MemoryFile
from zc.zk.follow.metrics import Metrics
from zc.zk.follow.metrics import MetricsServer
from zc.zk.follow.outputfile import InUse
from zc.zk.follow.outputfile import OutputFile
from zc.zk.follow.outputs import Caddy
from zc.zk.follow.outputs import HAProxySocket
from zc.zk.follow.outputs import Output
from zc.zk.follow.outputs import PlainFile
from zc.zk.follow.outputs import ReloadedFile
from zc.zk.follow.reloading import BURST
from zc.zk.follow.reloading import Reloader
from zc.zk.follow.resolver import Resolver
from zc.zk.follow.service import Policy
from zc.zk.follow.service import Service
from zc.zk.follow.upstream import Upstream
from zc.zk.follow.upstream import check_name
from zc.zk.follow.workers import Workers
from zc.zk.paths import split
from zc.zk.scripts.command import Failure
from zc.zk.scripts.command import add_connection
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import node_path
from zc.zk.scripts.command import open_connection
from zc.zk.scripts.command import run
from zc.zk.scripts.command import seconds
from zc.zk.scripts.files import write_stdout
from zc.zk.tree.literals import LiteralError
from zc.zk.tree.literals import read_literal

logger = logging.getLogger('zc.zk.follow')

#: The time that `--once` has for all servers to be known, and brought.
ONCE_TIMEOUT_S = 60.0


def main(args: Sequence[str] | None = None) -> int | None:
    """Follow until SIGTERM or SIGINT, then exit with status 0."""
    return run(_make_parser(), _main, args)


def problems(args: Sequence[str]) -> list[str]:
    """Return what is wrong with arguments, without doing anything."""
    parser = _make_parser()

    def error(message: str) -> NoReturn:
        raise Failure(message)

    # Its own prints, and ends the process.
    parser.error = error  # type: ignore[method-assign]
    try:
        options = parser.parse_args(args)
        _made(options)
    except Failure as failure:
        return [str(failure)]
    return []


def _make_parser() -> argparse.ArgumentParser:
    parser = make_parser(
        'zookeeper_follow',
        "Keep a proxy's list of servers as ZooKeeper has it.")
    _add_arguments(parser)
    return parser


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_connection(parser)
    add = parser.add_argument
    add('paths', metavar='PATH', nargs='+', type=_named_path,
        help='a providers node, whose links are followed; or NAME=PATH, to'
             ' name what is made of it (default: the last name above'
             ' "providers")')
    add('--format', metavar='FORMAT', required=True, choices=FORMATS,
        help='what to write: ' + ', '.join(FORMATS))
    add('-o', '--output', metavar='FILE', required=True,
        help='the file to keep; written when it differs, moved into place')
    add('--socket', metavar='FILE|HOST:PORT',
        help='haproxy: its admin socket, by which it needs no reload; caddy:'
             ' its admin API (default: 127.0.0.1:2019)')
    add('--check', metavar='COMMAND',
        help='run before a reload; {file} is the file (default: nginx -t -q;'
             ' haproxy -c -f /etc/haproxy/haproxy.cfg -f {file})')
    add('--reload', metavar='COMMAND',
        help='run when the file has changed (default: nginx -s reload;'
             ' systemctl reload haproxy; nothing)')
    add('--interval', metavar='SECONDS', type=seconds, default=.5,
        help='between two reloads, on average (0.5); two may follow each other'
             ' at once')
    add('--splay', metavar='SECONDS', type=seconds, default=0.0,
        help='the longest pause before a reload, of random length (0)')
    add('--hold', metavar='SECONDS', type=seconds, default=300.0,
        help='put back servers that vanished together and still accept (300;'
             ' 0: never)')
    add('--hold-after', metavar='SECONDS', type=seconds, default=3.0,
        help='how long after they vanished (3); more than their'
             ' deregister_wait')
    add('--allow-empty', action='store_true',
        help='the list may become empty')
    add('--where', metavar='NAME=LITERAL', type=_condition, action='append',
        default=[], help='only servers with this property; can be repeated')
    add('--resolve', metavar='SECONDS', type=seconds, default=30.0,
        help='between two questions for the address of a host name (30)')
    add('--options', metavar='TEXT', default='',
        help='added to each server or service; each format has its words')
    add('--listen', metavar='HOST:PORT', type=_address,
        help="/metrics of this command, and /targets for Prometheus' http_sd")
    add('--once', action='store_true', help='write, check, reload, exit')
    add('--dry-run', action='store_true',
        help='show the file and the difference, and change nothing')


def _main(options: argparse.Namespace) -> None:
    logger.setLevel(logging.INFO)
    format, check, reload = _made(options)
    with contextlib.ExitStack() as stack:
        wakeup = Wakeup()
        stack.callback(wakeup.close)
        signals = Signals(wakeup)
        stack.enter_context(signals.handled())
        output: Output = _Shown(format, options.output)
        memory = None
        if not options.dry_run:
            file = _open_file(options, stack)
            output = _output(options, format, check, reload, file)
            if not options.once:
                memory = MemoryFile(file.work / 'memory', options.hold)
        metrics = Metrics(options.output)
        if options.listen:
            stack.callback(
                MetricsServer(options.listen, metrics).close)
        is_short = options.once or options.dry_run
        try:
            zk = open_connection(
                options, wait=False if is_short else lambda: not signals.stop)
        except FailedConnect:
            if signals.stop:
                return
            raise
        stack.callback(zk.close)
        _follow(options, zk, output, wakeup, signals, metrics, memory,
                is_short, stack)


def _follow(options: argparse.Namespace, zk: ZooKeeper, output: Output,
            wakeup: Wakeup, signals: Signals, metrics: Metrics,
            memory: MemoryFile | None, is_short: bool,
            stack: contextlib.ExitStack) -> None:
    resolver = Resolver(options.resolve, wakeup.wake)
    stack.callback(resolver.close)
    policy = Policy(options.hold, options.hold_after, options.allow_empty,
                    dict(options.where))
    services = []
    for name, path in options.paths:
        services.append(Service(zk, name, path, policy, resolver, wakeup.wake,
                                memory.get(path) if memory else None))
        stack.callback(services[-1].close)
    loop = Loop(services, output, resolver, wakeup, signals, metrics, memory)
    if not is_short:
        loop.run()
        return
    deadline = time.monotonic() + ONCE_TIMEOUT_S
    while not (loop.round() and resolver.is_settled()):
        missing = [service.path for service in services
                   if service.is_missing]
        if missing:
            raise Failure(f'there is no node {", ".join(missing)}')
        if time.monotonic() >= deadline or signals.stop:
            raise Failure('not done; see above')
        wakeup.wait(.1)


def _made(options: argparse.Namespace) -> tuple[Format, Command, Command]:
    """Return the format and its commands; check what depends on it."""
    try:
        format = FORMATS[options.format](options.options)
        check = Command(_default(options.check, format.check),
                        file=options.output)
        reload = Command(_default(options.reload, format.reload),
                         file=options.output)
    except ValueError as error:
        raise Failure(str(error)) from None
    if options.socket and options.format not in ('haproxy', 'caddy'):
        raise Failure('--socket is for haproxy and caddy')
    names = [name for name, _ in options.paths]
    if len(set(names)) < len(names):
        raise Failure(f'two services have one name: {", ".join(names)}; write'
                      ' NAME=PATH')
    return format, check, reload


def _default(given: str | None, default: str | None) -> str:
    return (default or '') if given is None else given


def _open_file(options: argparse.Namespace,
               stack: contextlib.ExitStack) -> OutputFile:
    try:
        file = OutputFile(options.output)
    except InUse as error:
        raise Failure(str(error)) from None
    stack.callback(file.close)
    return file


def _output(options: argparse.Namespace, format: Format, check: Command,
            reload: Command, file: OutputFile) -> Output:
    if format.delay_s is not None:
        delay = format.delay_s
        if reload and not options.socket:
            delay += BURST * options.interval
        logger.info('%s: a change takes up to %g s; the deregister_wait of '
                    'the servers has to be longer', options.format, delay)
    if isinstance(format, HAProxy) and options.socket:
        return HAProxySocket(file, format, options.socket, check, reload,
                             options.interval, options.splay)
    if options.format == 'caddy':
        return Caddy(file, format, options.socket or '127.0.0.1:2019')
    if reload:
        workers = Workers(options.format) if options.format in (
            'nginx', 'haproxy') else None
        return ReloadedFile(
            Reloader(file, check, reload, options.interval, options.splay,
                     workers), format)
    return PlainFile(file, format)


class _Shown:
    """The output of `--dry-run`: the difference, on standard output."""

    done = 'shown'

    def __init__(self, format: Format, path: str) -> None:
        self._format = format
        self._path = path
        self.counts: dict[str, int] = {}

    def apply(self, upstreams: Sequence[Upstream]) -> bool:
        """Show the file that would be written, and the difference."""
        text = self._format.render(upstreams)
        try:
            with open(self._path, encoding='utf-8', errors='replace') as file:
                old = file.read()
        except FileNotFoundError:
            old = ''
        write_stdout(text)
        write_stdout(''.join(difflib.unified_diff(
            old.splitlines(True), text.splitlines(True), self._path,
            'ZooKeeper')))
        return True

    def wake_at(self) -> float | None:
        """Return None: there is nothing to repeat."""
        return None


def _named_path(text: str) -> tuple[str, str]:
    name, equal, path = text.partition('=')
    if not equal or '/' in name:
        path = node_path(text)
        parent, last = split(path)
        name = split(parent)[1] if last == 'providers' else last
    else:
        path = node_path(path)
    try:
        return check_name(name), path
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _condition(text: str) -> tuple[str, object]:
    name, equal, literal = text.partition('=')
    if not equal or not name.strip():
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=LITERAL')
    try:
        return name.strip(), read_literal(literal.strip())
    except LiteralError as error:
        raise argparse.ArgumentTypeError(f'{text!r}: {error}') from None


def _address(text: str) -> tuple[str, int]:
    try:
        return parse_server_addr(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
