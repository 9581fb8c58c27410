"""Record the lines that a Python process runs, for coverage.py.

Tests start a thousand Python processes, and coverage.py takes 0.07 s of each
to import and start itself.  This takes 0.007 s: it uses coverage.py's tracer
(``coverage.tracer``, a C extension) and nothing else of it, and leaves its
data as a file of its own kind, which `read` reads in the process that adds
them up.  A process that is recorded cannot import coverage.py.

A start-up hook calls `start` in each process.  What ends by os._exit or goes
on as another program leaves its data, too, and what a signal kills does not.
"""
from __future__ import annotations

import atexit
import marshal
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from types import ModuleType
from typing import Any

# The environment variable of the processes that are recorded: the folder for
# their files.
VARIABLE = 'COVERAGE_RECORDS'

# How the tracer puts a pair of line numbers, which may be negative, into one
# number: as `coverage.collector.Collector.flush_data` takes it apart.
LINE_BITS = 28
LINE_MASK = (1 << LINE_BITS) - 1
NEGATIVE_FROM = 1 << 2 * LINE_BITS
NEGATIVE_TO = 1 << 2 * LINE_BITS + 1


def start(package: str, sources: tuple[str, ...]) -> None:
    """Record this process and its forks, if the environment says so.

    `package` is the folder of the package ``coverage``.  `sources` are the
    beginnings of the names of the files that are recorded.
    """
    folder = os.environ.get(VARIABLE)
    if folder:
        Recorder(folder, load_tracer(package), sources).start()


def load_tracer(package: str) -> ModuleType:
    """Return ``coverage.tracer``, without an import of ``coverage``."""
    parent = sys.modules['coverage'] = ModuleType('coverage')
    parent.__path__ = [package]
    import coverage.tracer
    del sys.modules['coverage'], sys.modules['coverage.tracer']
    return coverage.tracer


class Recorder:
    """What the threads of a process run, as ``coverage.collector`` has it."""

    def __init__(self, folder: str, tracer: ModuleType,
                 sources: tuple[str, ...]) -> None:
        self._folder = folder
        self._tracer = tracer
        self._sources = sources
        self._data: dict[str, set[int]] = {}
        self._dispositions: dict[str, Any] = {}
        self._lock = threading.Lock()
        # A tracer that is freed while it is started takes away the trace
        # function of the thread that frees it, which may be another than its
        # own: one that drops a traceback, forks, or ends the process.
        self._tracers: list[Any] = []

    def start(self) -> None:
        """Trace this thread and all that come; save at the process's end."""
        atexit.register(self._finish)
        os.register_at_fork(after_in_child=self._forget_lock)
        for name in '_exit', 'execv', 'execve':
            setattr(os, name, self._saving(getattr(os, name)))
        threading.settrace(self._begin_thread)
        self._start_tracer()

    def save(self) -> None:
        """Write what was recorded so far into a new file."""
        found = {name: list(pairs.copy())
                 for name, pairs in self._data.copy().items()}
        path = os.path.join(self._folder,
                            f'{os.getpid()}-{os.urandom(4).hex()}')
        try:
            with open(path + '.new', 'wb') as file:
                marshal.dump(found, file)
            os.rename(path + '.new', path)
        except OSError:
            pass  # another user's process, or the tests are over

    def _finish(self) -> None:
        self.save()
        threading.settrace(None)
        for tracer in self._tracers:
            tracer.stop()

    def _saving(self, function: Callable) -> Callable:
        def save_and_call(*args: Any, **options: Any) -> Any:
            self.save()
            return function(*args, **options)

        return save_and_call

    def _start_tracer(self) -> Callable:
        made = self._tracer.CTracer()
        made.data = self._data
        made.trace_arcs = True
        made.should_trace = self._disposition
        made.should_trace_cache = self._dispositions
        made.file_tracers = {}
        made.lock_data = self._hold
        made.unlock_data = self._release
        made.warn = lambda *args, **options: None
        # The tracer crashes where one of these is missing.
        for name in ('check_include', 'concur_id_func', 'disable_plugin',
                     'should_start_context', 'switch_context'):
            setattr(made, name, None)
        self._tracers.append(made)
        return made.start()

    def _begin_thread(self, frame: FrameType, event: str, arg: Any) -> Any:
        sys.settrace(None)
        return self._start_tracer()(frame, event, arg)

    def _disposition(self, name: str, frame: FrameType) -> Any:
        """Return whether to trace a file, for the tracer."""
        made = self._tracer.CFileDisposition()
        made.original_filename = made.canonical_filename = name
        made.source_filename = name
        made.trace = name.startswith(self._sources)
        made.reason = ''
        made.file_tracer = None
        made.has_dynamic_filename = False
        return made

    def _hold(self) -> None:
        self._lock.acquire()

    def _release(self) -> None:
        self._lock.release()

    def _forget_lock(self) -> None:
        """Do without the lock of a thread that a fork has left behind."""
        self._lock = threading.Lock()


def read(folder: str) -> dict[str, set[tuple[int, int]]]:
    """Return the pairs of lines, by the name of a file, of all processes."""
    packed: dict[str, set[int]] = {}
    for entry in os.scandir(folder):
        if not entry.name.endswith('.new'):
            with open(entry.path, 'rb') as file:
                for name, pairs in marshal.load(file).items():
                    packed.setdefault(name, set()).update(pairs)
    return {name: set(map(unpack, pairs)) for name, pairs in packed.items()}


def unpack(pair: int) -> tuple[int, int]:
    """Return the two line numbers of a pair."""
    one = pair & LINE_MASK
    other = pair >> LINE_BITS & LINE_MASK
    return (-one if pair & NEGATIVE_FROM else one,
            -other if pair & NEGATIVE_TO else other)
