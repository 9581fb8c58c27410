"""The whole site of doc/site.txt, made, asked, changed and stopped.

The text of the document is what runs: its files, its commands, and their
output.
"""
from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import re
import shlex
import signal
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable
from collections.abc import Iterator

import pytest
import zc.zk
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import examples
from zkzopeserver_support.examples import CHECKOUT
from zkzopeserver_support.examples import ROOT
from zkzopeserver_support.processes import Process
from zkzopeserver_support.shell_examples import Example
from zkzopeserver_support.shell_examples import Session
from zkzopeserver_support.shell_examples import blocks
from zope_server_support.fronts import CLIENT
from zope_server_support.fronts import PATH
from zope_server_support.fronts import free_port
from zope_server_support.fronts import program

TEXT = (ROOT / 'doc' / 'site.txt').read_text()
DAY, END = '\nA day in its life\n', '\nAnd the end. '
PATHS = {'web': '/news', 'api': '/api/v1', 'stock': '/stock/shoes'}


class Site(Session):
    """The folder of the example, with ports of its own.

    A command that stays runs in a terminal of its own, as the document has
    it.
    """

    def __init__(self, session: Session, changes: dict[str, str]) -> None:
        self.zookeeper, self.port, self.listen = (
            free_port(), free_port(), free_port())
        # Longer texts first: they are replaced in this order.
        super().__init__(session.folder, session.environ, {
            CHECKOUT: '', '../zc.zkzopeserver/bin/': 'bin/', **changes,
            '2181': str(self.zookeeper), '8443': str(self.port),
            '9102': str(self.listen)})
        self.environ['PATH'] += f':{PATH}'
        self._ready: dict[str, Callable[[], object]] = {
            'bin/zookeeper_embedded': lambda: listens(self.zookeeper),
            'haproxy': lambda: listens(self.port),
            'bin/lb': lambda: self.metric('last_success', 'output'),
        }
        self.processes: dict[str, Process] = {}

    def check(self, example: Example) -> None:
        """Run an example, in a terminal of its own if it stays."""
        name = example.command.split()[0]
        if name not in self._ready or example.expected:
            super().check(example)
            return
        process = Process(
            ['env', '-u', 'PYTHONPATH', '-C', str(self.folder),
             *shlex.split(self.shown(example.command))], self.folder,
            **self.environ)
        self.processes[name] = process

        def is_ready() -> object:
            assert process.popen.poll() is None, process.output
            return self._ready[name]()

        wait_for(is_ready, 30, lambda: f'{name}: {process.output}')

    def ask(self, path: str, **fields: str) -> tuple[int, str]:
        """Ask HAProxy, from CLIENT, over TLS; ``_`` is ``-`` in names."""
        connection = http.client.HTTPSConnection(
            'localhost', self.port, timeout=30, source_address=(CLIENT, 0),
            context=ssl.create_default_context(
                cafile=str(self.folder / 'ca.pem')))
        with contextlib.closing(connection):
            connection.request('GET', path, headers={
                name.replace('_', '-'): value
                for name, value in fields.items()})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def fetch(self, path: str) -> str:
        """Return what the follower serves at a path."""
        with urllib.request.urlopen(
                f'http://127.0.0.1:{self.listen}{path}', timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name: str, labels: str) -> float:
        """Return the sum of a metric of the follower; 0 without any."""
        try:
            text = self.fetch('/metrics')
        except OSError:
            return 0
        return sum(float(value) for value in re.findall(
            rf'(?m)^zookeeper_follow_{name}\w*{{{labels}=.*}} (.+)$', text))

    def close(self) -> None:
        """End the programs in the terminals, the last one first."""
        for process in reversed(self.processes.values()):
            process.signal(signal.SIGINT)
            with contextlib.suppress(AssertionError):
                process.ended()
            process.close()


def listens(port: int) -> bool:
    """Return whether something listens at the port."""
    with contextlib.suppress(OSError):
        socket.create_connection(('127.0.0.1', port), 1).close()
        return True
    return False


@pytest.fixture
def make_site(short_path) -> Iterator[Callable[[dict[str, str]], Site]]:
    """A function: the site, whose files are not yet there.

    It takes texts of the document, and what is to replace them.
    """
    for name in 'haproxy', 'openssl', 'curl', 'pkill':
        program(name)
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(examples.session(short_path, 'none'))

        def make(changes: dict[str, str]) -> Site:
            return stack.enter_context(
                contextlib.closing(Site(session, changes)))

        yield make


@contextlib.contextmanager
def load(site: Site) -> Iterator[list[tuple[int, str]]]:
    """Ask all services again and again; yield the answers that are wrong."""
    wrong: list[tuple[int, str]] = []
    rounds = [0] * len(PATHS)
    stop = threading.Event()

    def run(number: int, name: str, path: str) -> None:
        while not stop.is_set():
            try:
                answer = site.ask(path)
            except (OSError, http.client.HTTPException) as error:
                answer = 0, repr(error)
            if answer != (200, f'{name}: {path} for {CLIENT}, by https\n'):
                wrong.append(answer)
            rounds[number] += 1

    threads = [threading.Thread(target=run, args=(number, *each))
               for number, each in enumerate(PATHS.items())]
    for thread in threads:
        thread.start()
    try:
        yield wrong
        least = min(rounds) + 10
        wait_for(lambda: min(rounds) > least, 30, 'ten requests each')
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_the_whole_site(make_site):
    site = make_site({})
    before, day, rest = re.split(f'{DAY}|{END}', TEXT)
    assert site.run(before) == 16
    check_trust(site)
    assert site.metric('connected', 'path') == 3
    assert len(json.loads(site.fetch('/targets'))) == 4
    assert site.run(day) == 8
    with zc.zk.ZooKeeper(f'127.0.0.1:{site.zookeeper}') as zk, \
            load(site) as wrong:
        site.run('::\n\n    $ bin/web reload\n    ...\n')
        # A worker dies, and is in ZooKeeper for a while.
        nodes = zk.get_children('/shop/web/providers')
        os.kill(zk.get_properties(f'/shop/web/providers/{nodes[0]}')['pid'],
                signal.SIGKILL)
        wait_for(lambda: nodes[0] not in zk.get_children(
            '/shop/web/providers'), 30, 'the end of the node')
        wait_for(lambda: site.metric('servers', 'path') == 5, 30,
                 'another worker')
    assert wrong == []
    assert 'Traceback' not in site.processes['bin/lb'].output
    assert site.run(END + rest) == 3
    assert site.processes['bin/lb'].stopped() == 0


def test_the_proxy_protocol(make_site):
    """As the document's last section has it."""
    site = make_site({
        'options = check inter 2s':
            'options = check inter 2s send-proxy-v2',
        'trusted_proxy = 127.0.0.1\n':
            'trusted_proxy = 127.0.0.1\nproxy_protocol = true\n'
            'trusted_proxy_headers = x-forwarded-proto\n'})
    for line in [' send-proxy-v2', 'proxy_protocol = true',
                 'trusted_proxy_headers = x-forwarded-proto']:
        assert line in TEXT
    assert site.run(TEXT.partition(DAY)[0]) == 16
    check_trust(site)


def check_trust(site):
    """Who asks, and how, whatever the client says himself."""
    for name, path in PATHS.items():
        assert site.ask(path, X_Forwarded_For='6.6.6.6, 127.0.0.1',
                        X_Forwarded_Proto='gopher',
                        Forwarded='for=6.6.6.6') == (
            200, f'{name}: {path} for {CLIENT}, by https\n')


def test_the_files_for_production(short_path):
    user = getpass.getuser()
    etc_user = f'etc-user = {user}\n' if os.geteuid() else ''
    with examples.session(short_path, 'zk1:2181') as session:
        session.hidden |= {
            CHECKOUT: '', '127.0.0.1:2181': 'zk1:2181',
            'user = shop': f'user = {user}\n{etc_user}'
                           'prefix = ${buildout:directory}/root'}
        for block in blocks(TEXT):
            session.write(block)
        session.run(
            '::\n\n'
            '    $ bin/buildout -q -c production.cfg\n'
            '    $ ls root/etc/shop/*.service bin\n'
            '    ...\n    root/etc/shop/shop-web.service\n    ...\n'
            '    $ grep advertise root/etc/shop/*.ini | wc -l\n    3\n'
            '    $ bin/buildout -q -c proxy.cfg\n'
            '    $ ls parts/lb\n    haproxy.cfg\n    lb.service\n')
        text = (session.folder / 'parts/lb/haproxy.cfg').read_text()
        assert 'bind :443 ssl crt /etc/haproxy/shop.pem' in text
        assert 'stats socket /run/haproxy/shop.sock ' in text
        assert "'--reload=systemctl reload haproxy'" in (
            session.folder / 'bin/lb').read_text()
