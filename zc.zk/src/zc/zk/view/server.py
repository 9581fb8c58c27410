"""The HTTP server of the view: one page, its events, and downloads.

It reads and never writes. It has a thread for each viewer: each keeps a
connection, which would hold a thread of an application.
"""
from __future__ import annotations

import functools
import importlib.resources
import ipaddress
import json
import re
import secrets
import urllib.parse
from collections.abc import Callable
from typing import Any

from zc.zk import webserver
from zc.zk.addresses import format_addr
from zc.zk.live.text import Show
from zc.zk.live.text import shown_change
from zc.zk.printable import printable
from zc.zk.sync.diff import difference
from zc.zk.tree import Node
from zc.zk.tree import TreeError
from zc.zk.tree import format_tree
from zc.zk.tree import parse_tree
from zc.zk.tree.as_json import tree_as_json
from zc.zk.view.feed import Feed
from zc.zk.view.feed import TooManyViewers
from zc.zk.view.messages import shown_tree

#: A comment is sent after this time without an event: so a viewer that is
#: gone is noticed.
BEAT_S = 15.0

#: How long a client may take to send its request, or to take what is sent.
CLIENT_S = 30.0

#: The most connections at a time, and bytes of a tree file to compare.
MAX_CONNECTIONS = 64
MAX_FILE_BYTES = 4 * 2 ** 20

#: The most lines of a comparison.
MAX_PLAN = 1_000

_is_length = re.compile('[0-9]{1,10}').fullmatch

POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}';"
    " script-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'")

HEADERS = {
    'Cache-Control': 'no-store',
    'Connection': 'close',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
}


class ViewServer(webserver.Server):
    """Serves the view of `feed` at ``(HOST, PORT)``.

    `title` names what is shown. `hosts` are further values of the Host field
    that are right, as of a proxy's. Raise OSError when it cannot listen.
    """

    def __init__(self, address: tuple[str, int], feed: Feed, title: str,
                 show: Show, hosts: tuple[str, ...] = ()) -> None:
        self.feed = feed
        self.title = title
        self.show = show
        self.page = _page()
        super().__init__(address, _Handler, MAX_CONNECTIONS)
        host, port = self.server_address[:2]
        names = {str(host)}
        if ipaddress.ip_address(str(host)).is_loopback:
            names |= {'localhost', '127.0.0.1', '::1'}
        self.hosts = {format_addr(name, port) for name in names}
        self.hosts |= {name for name in names if port == 80}
        self.hosts |= set(hosts)

    @property
    def url(self) -> str:
        """The address of the page."""
        host, port = self.server_address[:2]
        return f'http://{format_addr(str(host), port)}/'


class _Handler(webserver.Handler):
    server: ViewServer
    server_version = 'zookeeper_view'
    timeout = CLIENT_S

    def do_GET(self) -> None:
        """Answer a request for the page, its events or a download."""
        path, _, query = self.path.partition('?')
        answer = ROUTES.get(path)
        if self._is_refused():
            return
        if answer is None:
            self._send(404, 'there is no such page\n')
            return
        answer(self, dict(urllib.parse.parse_qsl(query)))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Compare a tree file with the tree; nothing is changed by it."""
        if self._is_refused():
            return
        # A page of another site cannot send this field: its browser would
        # ask first, and gets no answer that allows it.
        if self.path != '/compare' or self.headers.get('X-Compare') != '1':
            self._send(404, 'there is no such page\n')
            return
        size = self.headers.get('Content-Length', '')
        if _is_length(size) is None or int(size) > MAX_FILE_BYTES:
            self._send(413, f'a tree file has at most {MAX_FILE_BYTES}'
                       ' bytes here\n')
            return
        self._send(200, json.dumps(compare(
            self.rfile.read(int(size)), self.server.feed.tree,
            self.server.show)),
            'application/json')

    def _is_refused(self) -> bool:
        """Refuse requests that other sites have a browser send."""
        hosts = self.headers.get_all('Host') or []
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            self._send(421, 'this is not the host that you look for\n')
            return True
        if self.headers.get('Sec-Fetch-Site', 'none') not in (
                'none', 'same-origin') and self.path != '/':
            self._send(403, 'this is for the page itself\n')
            return True
        return False

    def _send(self, status: int, text: str, kind: str = 'text/plain',
              headers: dict[str, str] | None = None) -> None:
        body = text.encode('utf-8', 'replace')
        self.send_response(status)
        for name, value in {**HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header('Content-Type', f'{kind}; charset=utf-8')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def page(self, query: dict[str, str]) -> None:
        """Send the page."""
        nonce = secrets.token_urlsafe(16)
        page = self.server.page.replace('{{nonce}}', nonce).replace(
            '{{title}}', _escaped(self.server.title))
        self._send(200, page, 'text/html', {
            'Content-Security-Policy': POLICY.format(nonce=nonce)})

    def download(self, query: dict[str, str], form: Callable[[Node], str],
                 name: str, kind: str) -> None:
        """Send the tree as a file."""
        tree = self.server.feed.tree
        if tree is None:
            self._send(404, 'there is no such node\n')
            return
        shown = shown_tree(tree, self.server.show, form is tree_as_json)
        self._send(200, form(shown), kind, {
            'Content-Disposition': f'attachment; filename="{name}"'})

    def events(self, query: dict[str, str]) -> None:
        """Send events until the viewer is gone."""
        try:
            viewer = self.server.feed.join()
        except TooManyViewers:
            self._send(503, 'there are too many viewers\n')
            return
        try:
            self.send_response(200)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header('Content-Type', 'text/event-stream')
            self.end_headers()
            if self.command != 'HEAD':
                while self._send_events(self.server.feed.take(
                        viewer, BEAT_S)):
                    pass
        finally:
            self.server.feed.leave(viewer)

    def _send_events(self, found: list[tuple[str, bytes]] | None) -> bool:
        if found is None:
            return False
        for name, data in found:
            self.wfile.write(f'event: {name}\ndata: '.encode())
            # The data of all viewers is one object: no copy for each.
            self.wfile.write(data)
            self.wfile.write(b'\n\n')
        if not found:
            self.wfile.write(b': still here\n\n')
        return True


#: A path -> the method that answers.
ROUTES: dict[str, Callable[[_Handler, dict[str, str]], None]] = {
    '/': _Handler.page,
    '/events': _Handler.events,
    '/tree.txt': functools.partial(
        _Handler.download, form=format_tree, name='tree.txt',
        kind='text/plain'),
    '/tree.json': functools.partial(
        _Handler.download, form=tree_as_json, name='tree.json',
        kind='application/json'),
}


def compare(data: bytes, tree: Node | None, show: Show) -> dict[str, Any]:
    """Return what would make a tree that of a file, for `json`.

    It has ``lines``, one for each change, or ``error``. Ephemeral nodes are
    not compared. `show` returns what is shown of a property.
    """
    if tree is None:
        return {'error': 'there is no node to compare with'}
    try:
        wanted = parse_tree(data.decode('utf-8'))
    except TreeError as error:
        return {'error': printable(error)}
    except UnicodeDecodeError:
        return {'error': 'this is not UTF-8 text'}
    live = Node(tree.name, tree.properties, tree.children, None,
                tree.ephemeral, tree.version)
    wanted.properties = live.properties     # a file has none for its top
    return {'lines': [printable(shown_change(change, show))
                      for change in difference(wanted, live, '/')[:MAX_PLAN]]}


def _escaped(text: str) -> str:
    for sign, entity in (('&', '&amp;'), ('<', '&lt;'), ('>', '&gt;'),
                         ('"', '&quot;')):
        text = text.replace(sign, entity)
    return text


def _page() -> str:
    folder = importlib.resources.files('zc.zk.view')
    page, css, script = ((folder / f'page.{suffix}').read_text('utf-8')
                         for suffix in ('html', 'css', 'js'))
    return page.replace('{{css}}', css).replace('{{js}}', script)
