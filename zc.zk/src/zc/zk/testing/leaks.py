"""Find threads, file descriptors and child processes that tests leave."""
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
    """Raise AssertionError when the block leaves resources behind.

    They have `timeout` seconds to go. Nothing is checked when the block
    raises an exception.
    """
    before = resources()
    yield
    wait_for(lambda: not resources() - before, timeout,
             lambda: 'these to be gone: '
                     + ', '.join(sorted(resources() - before)))


def resources() -> set[str]:
    """Return the names of all threads, descriptors and children."""
    return threads() | descriptors() | children()


def threads() -> set[str]:
    """Return the names of the live threads."""
    return {f'thread {thread.name} ({thread.ident})'
            for thread in threading.enumerate()}


def descriptors() -> set[str]:
    """Return the names of the open files, sockets and pipes.

    Return an empty set on a system that does not list them.
    """
    for folder in DESCRIPTORS:
        if os.path.isdir(folder):
            return _describe(folder)
    return set()


def children() -> set[str]:
    """Return the names of the child processes, and of their children."""
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
            # Numbered by kind: a selector of the same kind may be opened
            # again under another number.
            alike[target] += 1
            number = f'no. {alike[target]}'
        names.add(f'descriptor {number} ({target})')
    return names


def _command(process: psutil.Process) -> str:
    try:
        return f'process {process.pid} ({" ".join(process.cmdline()[:4])})'
    except psutil.Error:
        return ''
