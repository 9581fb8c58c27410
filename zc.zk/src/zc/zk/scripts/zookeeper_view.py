"""``zookeeper_view``: a live view of a tree in the browser, read-only."""
from __future__ import annotations

import argparse
import contextlib
import ipaddress
import re
import sys
from collections.abc import Sequence

from zc.zk.addresses import parse_addr
from zc.zk.connection.client import format_servers
from zc.zk.live.text import Show
from zc.zk.live.tree import LiveTree
from zc.zk.redaction import redact_value
from zc.zk.scripts.command import add_connection
from zc.zk.scripts.command import connected
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import node_path
from zc.zk.scripts.command import run
from zc.zk.scripts.files import flush_stdout
from zc.zk.scripts.files import write_stdout
from zc.zk.view.feed import Extra
from zc.zk.view.feed import Feed
from zc.zk.view.health import Health
from zc.zk.view.server import ViewServer

_host = re.compile(r'https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?'
                   ).fullmatch


def main(args: Sequence[str] | None = None) -> int | None:
    """Serve the view until Ctrl-C."""
    parser = make_parser(
        'zookeeper_view',
        'Serve a page that shows services and tree, and what changes while one'
        ' looks. It reads, and changes nothing. While nobody looks, ZooKeeper'
        ' is asked nothing.')
    add_connection(parser)
    parser.add_argument(
        'path', metavar='PATH', nargs='?', default='/', type=node_path,
        help='the top of the tree (default: /)')
    parser.add_argument(
        '--listen', metavar='HOST:PORT', default='127.0.0.1:8181',
        type=_listen, help='where to listen (default: 127.0.0.1:8181); port 0:'
        ' the operating system picks one')
    parser.add_argument(
        '--allow-remote', action='store_true',
        help='allow to listen on an address that other machines reach; put a'
             ' proxy that asks for a password in front')
    parser.add_argument(
        '--base-url', metavar='URL', action='append', default=[], type=_url,
        help='the address of the page behind a proxy; can be repeated')
    parser.add_argument(
        '--ask', action='store_true',
        help='ask the monitor of each server how it is, every 5 s while'
             ' somebody looks; where there is none, try its port')
    parser.add_argument(
        '--show-secrets', action='store_true',
        help='do not mask values that look like secrets')
    return run(parser, _main, args)


def _main(options: argparse.Namespace) -> None:
    host, port = options.listen
    if not options.allow_remote and not _is_local(host):
        raise ValueError(
            f'--listen {host}: other machines reach this address, and the view'
            ' asks for no password; --allow-remote allows it')
    show: Show = ((lambda name, value: value) if options.show_secrets
                  else redact_value)
    extras: dict[str, Extra] = (
        {'health': Health().latest} if options.ask else {})
    with connected(options) as zk, contextlib.ExitStack() as stack:
        path = zk.resolve(options.path)
        feed = Feed(LiveTree(zk, path), show, extras=extras)
        stack.callback(feed.close)
        try:
            server = ViewServer(
                (host, port), feed,
                f'ZooKeeper {path} at {format_servers(zk.client)}', show,
                tuple(options.base_url))
        except OSError as error:
            raise ValueError(f'--listen {host}:{port}: {error.strerror}'
                             ) from None
        stack.callback(server.server_close)
        write_stdout(f'zookeeper_view: {server.url}\n')
        flush_stdout()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
        print('zookeeper_view: stopped', file=sys.stderr)


def _listen(text: str) -> tuple[str, int]:
    try:
        host, port = parse_addr(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if port > 65535:
        raise argparse.ArgumentTypeError(f'{text!r}: no such port')
    return host, port


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _url(text: str) -> str:
    match = _host(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not http://HOST[:PORT] or https://HOST[:PORT]')
    return (match[1] + (match[2] or '')).lower()
