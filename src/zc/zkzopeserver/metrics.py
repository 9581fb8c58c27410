"""Metrics for Prometheus: their text, and the listener that serves it.

The listener has a thread of its own, so that it answers when all threads of
the application are busy, and a port of its own, so that each worker is a
target and nothing is public that is meant for operators.  Text format:
prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
"""
from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import logging
import os
import platform
import resource
import selectors
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping

from zope.server import Server
from zope.server import ServerError
from zope.server.errors import REASONS
from zope.server.form import form
from zope.server.metrics import BUCKETS_S
from zope.server.metrics import Measures
from zope.server.metrics import Times
from zope.server.server import listen

from zc.zkzopeserver.errors import ListenError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.registration import ServiceRegistration
from zc.zkzopeserver.switching import quick_switches

logger = logging.getLogger('zc.zkzopeserver.metrics')

# The time that a client has for its request and for reading the answer.
TIMEOUT_S = 5.0
# A further client takes the place of the one that has been here longest.
MAX_CLIENTS = 4
# The largest head of a request.
HEAD_BYTES = 8192
# Without descriptors no client is accepted for this time.
PAUSE_S = 0.25
CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
STATES = ('connecting', 'registered', 'suspended', 'lost', 'displaced',
          'withdrawn')
PREFIX = 'zkzopeserver_'
# What is shown as 0 before it has happened, so that rates see the first time.
SHOWN_METHODS = 'GET', 'HEAD', 'POST'
SHOWN_STATUSES = '2xx', '3xx', '4xx', '5xx'
# 500 is the application's.
REFUSALS = sorted(set(REASONS) - {500})

Samples = Iterable[tuple[Mapping[str, object], float]]


# The text.

class Page:
    """Metrics as text, a family after the other."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, meaning: str,
            samples: float | Samples) -> None:
        """Add a family: one value, or pairs of labels and value."""
        self._head(name, kind, meaning)
        for labels, value in ([({}, samples)] if isinstance(
                samples, (int, float)) else samples):
            self._lines.append(f'{name}{labelled(labels)} {value!r}')

    def histogram(self, name: str, meaning: str, times: Times) -> None:
        """Add a histogram; its buckets are cumulative in the text."""
        self._head(name, 'histogram', meaning)
        count = 0
        for bound, found in zip([*map(repr, BUCKETS_S), '+Inf'],
                                times.counts, strict=True):
            count += found
            self._lines.append(f'{name}_bucket{{le="{bound}"}} {count}')
        self._lines.append(f'{name}_sum {times.total!r}')
        self._lines.append(f'{name}_count {count}')

    def _head(self, name: str, kind: str, meaning: str) -> None:
        self._lines.append(f'# HELP {name} {meaning}')
        self._lines.append(f'# TYPE {name} {kind}')

    def text(self) -> str:
        """Return the text."""
        return ''.join(f'{line}\n' for line in self._lines)


def labelled(labels: Mapping[str, object]) -> str:
    """Return labels in braces; nothing for none."""
    if not labels:
        return ''
    return '{' + ','.join(
        f'{name}="{escaped(str(value))}"' for name, value in labels.items()
    ) + '}'


def escaped(text: str) -> str:
    """Return text as it can stand in the value of a label."""
    text = text.encode('utf-8', 'replace').decode()
    return (text.replace('\\', r'\\').replace('"', r'\"')
            .replace('\n', r'\n'))


def render(server: Server, registration: ServiceRegistration,
           options: Options) -> str:
    """Return the metrics of this process, and of its application."""
    page = Page()
    page.add(PREFIX + 'info', 'gauge', 'What serves here.', [({
        'version': own_version(), 'python': platform.python_version(),
        'form': form(), 'path': options.path,
        'worker': os.getpid() if options.workers > 1 else ''}, 1)])
    measures = server.measures()
    if measures is not None:
        add_requests(page, measures)
    add_state(page, server, options)
    state = registration.state
    page.add(PREFIX + 'registration_state', 'gauge',
             'Whether the node in ZooKeeper is in this state.',
             [({'state': each}, int(each == state)) for each in STATES])
    page.add(PREFIX + 'reregistrations_total', 'counter',
             'Times that the node was created again.',
             registration.reregistered)
    application = application_text()
    if '# TYPE process_' not in application:
        add_process(page)
    return page.text() + application


@functools.cache
def own_version() -> str:
    """Return the version of this distribution; reading it takes a while."""
    return importlib.metadata.version('zc.zkzopeserver')


def add_requests(page: Page, measures: Measures) -> None:
    """Add what has been counted."""
    counts = Counter({
        (method, status): 0 for method in SHOWN_METHODS
        for status in SHOWN_STATUSES})
    for (method, code), count in measures.requests.items():
        counts[method, f'{code // 100}xx' if code else 'none'] += count
    page.add(PREFIX + 'requests_total', 'counter',
             'Requests to the application; status none: no response began.',
             [({'method': method, 'status': status}, count)
              for (method, status), count in sorted(counts.items())])
    page.add(PREFIX + 'requests_cut_total', 'counter',
             'Those of them whose response did not end as it should.',
             measures.cut)
    refused = dict.fromkeys(REFUSALS, 0) | measures.refused
    page.add(PREFIX + 'requests_refused_total', 'counter',
             'Requests that the server answered with an error by itself.',
             [({'status': code}, count)
              for code, count in sorted(refused.items())])
    page.histogram(PREFIX + 'request_duration_seconds',
                   'Time from a complete request to the end of its response.',
                   measures.duration)
    page.histogram(PREFIX + 'request_queue_seconds',
                   'Time of that in which no thread was free.',
                   measures.queue)
    page.add(PREFIX + 'request_bytes_total', 'counter',
             'Bytes of request bodies.', measures.request_bytes)
    page.add(PREFIX + 'response_bytes_total', 'counter',
             'Bytes of response bodies.', measures.response_bytes)
    page.add(PREFIX + 'connections_accepted_total', 'counter',
             'Connections that were accepted.', measures.accepted)
    page.add(PREFIX + 'clients_slow_total', 'counter',
             'Connections closed as the client read too slowly.',
             measures.slow)


def add_state(page: Page, server: Server, options: Options) -> None:
    """Add what the server is doing at the moment."""
    now = server.statistics()
    for name, meaning, value in (
            ('connections', 'Open connections.', now.connections),
            ('connections_limit', 'The option connection_limit.',
             options.connection_limit),
            ('requests_in_flight', 'Complete requests, not answered yet.',
             now.in_flight),
            ('requests_queued', 'Those of them that wait for a thread.',
             now.queued),
            ('threads', 'Threads for the application.', now.threads),
            ('threads_busy', 'Those of them that are at work.',
             now.busy_threads)):
        page.add(PREFIX + name, 'gauge', meaning, value)


def add_process(page: Page) -> None:
    """Add the metrics that Prometheus' clients have for each process."""
    used = os.times()
    resident, virtual = memory_bytes()
    page.add('process_cpu_seconds_total', 'counter',
             'User and system CPU time.', used.user + used.system)
    page.add('process_resident_memory_bytes', 'gauge',
             'Resident memory.', resident)
    page.add('process_virtual_memory_bytes', 'gauge',
             'Virtual memory.', virtual)
    page.add('process_open_fds', 'gauge', 'Open file descriptors.',
             open_descriptors())
    page.add('process_max_fds', 'gauge', 'Most open file descriptors.',
             resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    page.add('process_start_time_seconds', 'gauge',
             'When the process began, since the epoch.',
             start_time(os.getpid()))


# Each call of the system lets threads that compute go first, and reading a
# folder is one for each of its entries.  So psutil's ways take too many.

def memory_bytes() -> tuple[int, int]:
    """Return the resident and the virtual memory of this process."""
    try:
        fd = os.open('/proc/self/statm', os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        import psutil
        found = psutil.Process().memory_info()
        return found.rss, found.vms
    try:
        # In pages, proc(5).
        virtual, resident = map(int, os.read(fd, 256).split()[:2])
    finally:
        os.close(fd)
    return resident * resource.getpagesize(), virtual * resource.getpagesize()


def open_descriptors() -> int:
    """Return how many file descriptors this process has open."""
    try:
        # Linux tells it from 6.2 on, 0 before.
        count = os.stat('/proc/self/fd').st_size
    except OSError:
        count = 0
    if count:
        return count
    import psutil
    return psutil.Process().num_fds()


@functools.cache
def start_time(pid: int) -> float:
    """Return when a process began, in seconds since the epoch."""
    # Imported by the listener's thread: starts do not wait for it.
    import psutil
    return psutil.Process(pid).create_time()


def application_text() -> str:
    """Return what the application has registered with prometheus_client.

    Nothing where it has not imported that library: it is not imported here.
    """
    library = sys.modules.get('prometheus_client')
    if library is None:
        return ''
    try:
        return library.generate_latest().decode()
    except Exception:
        logger.exception("the metrics of the application are left out: its"
                         " prometheus_client has failed")
        return ''


# The listener.

class MetricsServer:
    """Answers GET /metrics, listening when constructed.

    `text` is called for each answer, in the listener's thread.  `address` is
    (host, true port).  Raise ListenError if it cannot listen.
    """

    def __init__(self, address: tuple[str, int],
                 text: Callable[[], str]) -> None:
        try:
            self._sock = listen(*address, MAX_CLIENTS)
        except ServerError as error:
            raise ListenError(f"option 'metrics': {error}") from None
        self.address = address[0], self._sock.getsockname()[1]
        self._text = text
        self._clients: list[Client] = []
        self._is_closing = False
        self._waker, self._wakes = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._sock, selectors.EVENT_READ)
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._thread = threading.Thread(
            target=self._run, name='zc.zkzopeserver.metrics', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; may be called twice."""
        self._is_closing = True
        with contextlib.suppress(OSError):
            self._wakes.send(b'.')
        # Not for ever: the application's own metrics may hang.
        self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        try:
            while not self._is_closing:
                try:
                    self._turn()
                except Exception:
                    logger.exception('the metrics are served on: this must'
                                     ' not happen')
                    time.sleep(PAUSE_S)
        finally:
            for client in list(self._clients):
                self._drop(client)
            self._selector.close()
            for sock in self._sock, self._waker, self._wakes:
                sock.close()

    def _turn(self) -> None:
        wait = min((client.ends_at for client in self._clients),
                   default=None)
        if wait is not None:
            wait = max(0.0, wait - time.monotonic())
        found = self._selector.select(wait)
        # An answer takes a dozen calls of the system.
        with quick_switches():
            for key, _ in found:
                if key.data is not None:
                    self._serve(key.data)
                elif key.fileobj is self._sock:
                    self._accept()
        now = time.monotonic()
        for client in [each for each in self._clients if each.ends_at <= now]:
            self._drop(client)

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except BlockingIOError:
            return
        except OSError:
            # The client is gone, or there is no descriptor, accept(2).
            time.sleep(PAUSE_S)
            return
        sock.setblocking(False)
        if len(self._clients) == MAX_CLIENTS:
            self._drop(self._clients[0])
        client = Client(sock, self._text)
        self._clients.append(client)
        # Its request may be here already.
        self._serve(client)

    def _serve(self, client: Client) -> None:
        # It may have made room for another in this turn.
        if client not in self._clients:
            return
        try:
            is_over = client.go_on()
        except BlockingIOError:
            is_over = False
        except OSError:
            is_over = True
        if is_over:
            self._drop(client)
        else:
            self._watch(client)

    def _watch(self, client: Client) -> None:
        events = (selectors.EVENT_WRITE if client.rest
                  else selectors.EVENT_READ)
        if client.sock in self._selector.get_map():
            self._selector.modify(client.sock, events, client)
        else:
            self._selector.register(client.sock, events, client)

    def _drop(self, client: Client) -> None:
        self._clients.remove(client)
        if client.sock in self._selector.get_map():
            self._selector.unregister(client.sock)
        client.sock.close()


class Client:
    """A client of the listener: one request, one answer."""

    def __init__(self, sock: socket.socket, text: Callable[[], str]) -> None:
        self.sock = sock
        self.ends_at = time.monotonic() + TIMEOUT_S
        # What is still to be sent.
        self.rest = memoryview(b'')
        self._text = text
        self._head = b''
        self._is_answered = False

    def go_on(self) -> bool:
        """Read and answer; return whether the client has read the answer.

        Raise BlockingIOError when that has to wait, OSError when the client
        is gone.
        """
        while not self._is_answered:
            data = self.sock.recv(HEAD_BYTES)
            if not data:
                return True
            self._head += data
            answer = self._answer()
            if answer is not None:
                self.rest, self._is_answered = memoryview(answer), True
        while self.rest:
            self.rest = self.rest[self.sock.send(self.rest):]
            if not self.rest:
                self.sock.shutdown(socket.SHUT_WR)
        # Data that is unread would have the kernel reset the connection, and
        # the client lose the answer.
        return not self.sock.recv(HEAD_BYTES)

    def _answer(self) -> bytes | None:
        """Return the answer; None while the head is not complete."""
        line, ended, _ = self._head.partition(b'\n')
        words = line.rstrip(b'\r').split(b' ')
        if len(self._head) > HEAD_BYTES or ended and (
                len(words) != 3 or not words[2].startswith(b'HTTP/1.')):
            return response('400 Bad Request', 'This is no HTTP request.\n')
        if b'\r\n\r\n' not in self._head and b'\n\n' not in self._head:
            return None
        if words[1].partition(b'?')[0] != b'/metrics':
            return response('404 Not Found', 'There is /metrics alone.\n')
        if words[0] != b'GET':
            return response('405 Method Not Allowed',
                            'There is GET alone.\n', 'Allow: GET\r\n')
        try:
            return response('200 OK', self._text())
        except Exception:
            logger.exception('there are no metrics')
            return response('500 Internal Server Error',
                            'The log says why.\n')


def response(status: str, body: str, fields: str = '') -> bytes:
    """Return a whole response."""
    data = body.encode()
    return (f'HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\n'
            f'Content-Length: {len(data)}\r\n{fields}'
            'Connection: close\r\n\r\n').encode() + data
