"""``zookeeper_watch``: tell what comes, goes and changes, as it happens."""
from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from kazoo.exceptions import NoNodeError
from zc.zk.client import ZooKeeper
from zc.zk.live import columns
from zc.zk.live import text
from zc.zk.live import until
from zc.zk.live.events import events
from zc.zk.live.tree import LiveTree
from zc.zk.redaction import redact_value
from zc.zk.scripts.command import add_connection
from zc.zk.scripts.command import connected
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import node_path
from zc.zk.scripts.command import positive_seconds
from zc.zk.scripts.command import run
from zc.zk.scripts.files import flush_stdout
from zc.zk.scripts.files import write_stdout

#: The exit status when --until was not met within --timeout.
NOT_MET = 1


def main(args: Sequence[str] | None = None) -> int | None:
    """Print a line for each change, until a condition is met or Ctrl-C."""
    parser = make_parser(
        'zookeeper_watch',
        'Tell what comes, goes and changes at and below nodes, a line each,'
        ' with the time, the session of an ephemeral node, and how old a node'
        ' was that is gone. Links in PATH are followed when the command'
        ' starts.')
    parser.epilog = (
        until.GRAMMAR.replace('\n', ' ') + ' With several PATHs, each has to'
        ' meet it. The exit status is 0 when it is met, 1 when it is not'
        ' within --timeout, 2 after an error.')
    add_connection(parser)
    parser.add_argument(
        'paths', metavar='PATH', nargs='*', type=node_path,
        help='the top of what is watched (default: /)')
    parser.add_argument(
        '--json', action='store_true',
        help='write an object of JSON for each line, for programs')
    parser.add_argument(
        '--until', metavar='EXPRESSION', type=_condition,
        help="end as soon as this is true, as '3 servers'; see below")
    parser.add_argument(
        '--timeout', metavar='SECONDS', type=positive_seconds,
        help='with --until, end with status 1 after this time')
    parser.add_argument(
        '-q', '--quiet', action='store_true',
        help='write nothing, for the exit status alone')
    parser.add_argument(
        '--interval', metavar='SECONDS', type=positive_seconds, default=0.2,
        help='the time between two looks (default: 0.2)')
    parser.add_argument(
        '--show-secrets', action='store_true',
        help='do not mask values that look like secrets')
    return run(parser, _main, args)


def _main(options: argparse.Namespace) -> int | None:
    if options.timeout is not None and options.until is None:
        raise ValueError('--timeout goes with --until')
    deadline = (None if options.timeout is None
                else time.monotonic() + options.timeout)
    with connected(options) as zk:
        watch = Watch(zk, options)
        while True:
            watch.look()
            if options.until is not None and watch.is_met(options.until):
                return None
            rest_s = options.interval
            if deadline is not None:
                rest_s = min(rest_s, deadline - time.monotonic())
                if rest_s <= 0:
                    return NOT_MET
            time.sleep(rest_s)


class Watch:
    """The trees that are watched, and what was told of them."""

    def __init__(self, zk: ZooKeeper, options: argparse.Namespace) -> None:
        self._options = options
        self._show: text.Show = (
            (lambda name, value: value) if options.show_secrets
            else redact_value)
        self._trees = [LiveTree(zk, _real(zk, path))
                       for path in options.paths or ['/']]
        self._told: set[LiveTree] = set()
        self._is_away = False

    def look(self) -> None:
        """Look at all trees, and write what has changed."""
        for tree in self._trees:
            old = tree.tree
            if tree.look():
                if tree in self._told:
                    self._tell_events(tree, old)
                else:
                    self._told.add(tree)
                    self._tell_first(tree)
        self._tell_connection()
        flush_stdout()

    def is_met(self, condition: until.Condition) -> bool:
        """Return whether each tree is current, and meets a condition."""
        return all(tree in self._told and tree.stale_since is None
                   and condition(tree.tree) for tree in self._trees)

    def _tell_first(self, tree: LiveTree) -> None:
        servers = until.server_count(tree.tree)
        nodes = until.node_count(tree.tree)
        told = (f'{servers} server{"s" * (servers != 1)}, {nodes}'
                f' node{"s" * (nodes != 1)} below'
                if tree.tree is not None else 'there is no such node')
        self._write('watch', told, tree.path, servers=servers, nodes=nodes,
                    exists=tree.tree is not None)

    def _tell_events(self, tree: LiveTree, old: Any) -> None:
        now = time.time()
        for event in events(old, tree.tree, tree.path):
            if self._options.json:
                self._print(json.dumps(text.as_json(event, now, self._show)))
            else:
                self._print_text(text.line(event, now, self._show))

    def _tell_connection(self) -> None:
        since = [tree.stale_since for tree in self._trees
                 if tree.stale_since is not None]
        if bool(since) != self._is_away:
            self._is_away = bool(since)
            if since:
                self._write('away', 'ZooKeeper does not answer; what changes'
                            ' now is told when it does')
            else:
                self._write('back', 'ZooKeeper answers again')

    def _write(self, kind: str, told: str, path: str = '',
               **fields: object) -> None:
        now = time.time()
        if self._options.json:
            where = {'path': path} if path else {}
            self._print(json.dumps({'time': text.utc(now), 'kind': kind,
                                    **where, **fields}))
        else:
            self._print_text(
                text.note(f'{path}: {told}' if path else told, now))

    def _print_text(self, line: str) -> None:
        """Print a line for people; fitted, where that is a terminal."""
        if sys.stdout is not None and sys.stdout.isatty():
            # At each line: it may have another size now.
            line = '\n'.join(columns.fitted(
                line, shutil.get_terminal_size().columns))
        self._print(line)

    def _print(self, line: str) -> None:
        if not self._options.quiet:
            write_stdout(line + '\n')


def _real(zk: ZooKeeper, path: str) -> str:
    """Follow the links of a path, as far as there are nodes."""
    try:
        return zk.resolve(path)
    except NoNodeError:
        return path


def _condition(expression: str) -> until.Condition:
    try:
        return until.read_condition(expression)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
