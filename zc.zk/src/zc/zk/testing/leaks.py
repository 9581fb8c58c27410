"""Assert that nothing is left: threads, file descriptors, children."""
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from zc.zk.testing.waiting import wait_for

#: Where the system lists the file descriptors of a process.
DESCRIPTORS = ('/proc/self/fd', '/dev/fd')


@contextmanager
def no_leaks(timeout: float = 5) -> Iterator[None]:
    """Raise ``AssertionError`` for what the block began and did not end.

    What it left gets ``timeout`` seconds to go.  Nothing is checked when the
    block itself fails.
    """
    before = resources()
    yield
    wait_for(lambda: not resources() - before, timeout,
             lambda: 'these to be gone: '
                     + ', '.join(sorted(resources() - before)))


def resources() -> set[str]:
    """Name what this process holds: its threads, descriptors, children."""
    return threads() | descriptors() | children()


def threads() -> set[str]:
    """Name the threads that run now."""
    return {f'thread {thread.name} ({thread.ident})'
            for thread in threading.enumerate()}


def descriptors() -> set[str]:
    """Name the open files, sockets and pipes; empty where nobody knows."""
    for folder in DESCRIPTORS:
        if os.path.isdir(folder):
            return _describe(folder)
    return set()


def children() -> set[str]:
    """Name the processes that this one started, and those of theirs."""
    return {name for child in psutil.Process().children(recursive=True)
            if (name := _command(child))}


def _describe(folder: str) -> set[str]:
    names = set()
    alike: Counter[str] = Counter()
    for number in os.listdir(folder):
        try:
            target = os.readlink(os.path.join(folder, number))
        except FileNotFoundError:  # of the listing itself
            continue
        except OSError:
            target = '?'
        if target.startswith('anon_inode:'):
            # One is like the other: whoever waits opens an epoll each time,
            # under the number that is free then.
            alike[target] += 1
            number = f'no. {alike[target]}'
        names.add(f'descriptor {number} ({target})')
    return names


def _command(process: psutil.Process) -> str:
    try:
        return f'process {process.pid} ({" ".join(process.cmdline()[:4])})'
    except psutil.Error:
        return ''
