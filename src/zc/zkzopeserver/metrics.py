"""Metrics for Prometheus, as text.

The format is prometheus.io/docs/instrumenting/exposition_formats, 0.0.4.
"""
from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
import platform
import resource
import sys
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping

from zope.server import Server
from zope.server.errors import REASONS
from zope.server.form import form
from zope.server.metrics import BUCKETS_S
from zope.server.metrics import Measures
from zope.server.metrics import Times

from zc.zkzopeserver import lockedcalls
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.registration import ServiceRegistration

logger = logging.getLogger('zc.zkzopeserver.metrics')

STATES = ('connecting', 'registered', 'suspended', 'lost', 'displaced',
          'withdrawn')
PREFIX = 'zkzopeserver_'
# What is shown as 0 before it has happened, so that rates see the first time.
SHOWN_METHODS = 'GET', 'HEAD', 'POST'
SHOWN_STATUSES = '2xx', '3xx', '4xx', '5xx'
# 500 is the application's.
REFUSALS = sorted(set(REASONS) - {500})

Samples = Iterable[tuple[Mapping[str, object], float]]


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


# Calls of the system let threads that compute go first, and reading a folder
# is one for each of its entries.  So psutil's ways take too long.

def memory_bytes() -> tuple[int, int]:
    """Return the resident and the virtual memory of this process."""
    fd = memory_file()
    if fd is None:
        import psutil
        found = psutil.Process().memory_info()
        return found.rss, found.vms
    # In pages, proc(5).
    virtual, resident = map(
        int, lockedcalls.read_start(fd, 256).split()[:2])
    return resident * resource.getpagesize(), virtual * resource.getpagesize()


# What `memory_file` has returned, by the pid of the process.
_memory_files: dict[int, int | None] = {}


def memory_file() -> int | None:
    """Return a descriptor of Linux' figures of memory; None without these.

    It stays open: opening and closing would give Python's lock away.  A fork
    has its own.  /proc may be that of another PID namespace, with other
    numbers (pid_namespaces(7)), so the name is not that of the pid.
    """
    pid = os.getpid()
    if pid not in _memory_files:
        try:
            _memory_files[pid] = os.open('/proc/self/statm',
                                         os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            _memory_files[pid] = None
    return _memory_files[pid]


def close_memory_file() -> None:
    """Close, in a forked child, the file of its parent's figures."""
    for fd in _memory_files.values():
        if fd is not None:
            os.close(fd)
    _memory_files.clear()


os.register_at_fork(after_in_child=close_memory_file)


def open_descriptors() -> int:
    """Return how many file descriptors this process has open."""
    try:
        # Linux tells it from 6.2 on, 0 before.
        count = lockedcalls.size_of('/proc/self/fd')
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
