"""Prove that a process is one of ours, before it is signalled.

A number alone is no proof: it may have been given again, or be of another PID
namespace (pid_namespaces(7)), as in a container that shares the folder.  The
server itself is proved by the locks on its pid file, see
`zc.zkzopeserver.locks`.
"""
from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import psutil

from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.errors import NotProvenError
from zc.zkzopeserver.workers import protocol

# How long a manager that ends may take to be gone.
PROOF_S = 1.0

RETRY_S = 0.02


def find_manager(path: str) -> zdaemon.Manager | None:
    """Return the manager that listens at `path`; None when there is none.

    See `manager` and `zdaemon.find` for what is raised.
    """
    deadline = time.monotonic() + PROOF_S
    while told := zdaemon.find(path):
        try:
            return manager(path, told)
        except NotProvenError:
            # It may have ended since it answered.
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)
    return None


def manager(path: str, told: zdaemon.Manager) -> zdaemon.Manager:
    """Return a manager that listens at `path`, with pids as we see them.

    `told` is what it says of itself, with pids as it sees them: see
    `zdaemon.find`.  NotProvenError when no process that we see is it.
    """
    for pid in candidates(told.pid):
        if not listens_at(pid, path):
            continue
        if not told.server:
            return zdaemon.Manager(pid, 0, told.overrides, told.is_stopping)
        for child in processes.children(pid):
            if inner_pid(child) == told.server:
                return zdaemon.Manager(pid, child, told.overrides,
                                       told.is_stopping)
        # The server has ended since.
        return zdaemon.Manager(pid, 0, told.overrides, told.is_stopping)
    raise NotProvenError(
        f'{path}: the manager there, zdaemon {told.pid} by its own account,'
        ' cannot be seen from here (in a container or another PID namespace,'
        " or another user's): no process is signalled; run this where it"
        ' runs')


def candidates(number: int) -> Iterator[int]:
    """Yield the pids of the processes whose own pid is `number`.

    The process that has it in our PID namespace comes first. Processes of
    containers follow, which have it in a namespace of their own.
    """
    if inner_pid(number) == number:
        yield number
    for pid in psutil.pids():
        if pid != number and inner_pid(pid) == number:
            yield pid


def inner_pid(pid: int) -> int | None:
    """Return the pid that a process has in its own namespace.

    That is the last number of NSpid in proc(5); without one it is `pid`.
    None when there is no such process.
    """
    try:
        with open(f'/proc/{pid}/status', 'rb') as file:
            match = re.search(rb'^NSpid:.*?(\d+)$', file.read(),
                              re.MULTILINE)
            return int(match[1]) if match else pid
    except OSError:
        return None if os.path.exists('/proc/self') else pid


def is_elsewhere(pid: int) -> bool:
    """Return whether a process is in a PID namespace inside of ours.

    Every user may ask that; `namespace` needs the right to trace the process.
    """
    return inner_pid(pid) not in (None, pid)


def listens_at(pid: int, path: str) -> bool:
    """Return whether a process has zdaemon's socket at `path`.

    zdaemon binds it under a name with a number behind, and then links it.
    """
    name = re.compile(re.escape(path) + r'(\.\d+)?')
    return any(map(name.fullmatch, processes.unix_sockets(pid)))


def workers(pid: int) -> list[psutil.Process]:
    """Return the live workers of a parent, oldest first.

    A child process without the proof of `is_worker` is left out: the first
    process of a container has children of any program.
    """
    found = [processes.identify(child) for child in processes.children(pid)]
    return [each for each in found
            if each is not None and is_worker(each.pid, pid)
            and processes.is_same(each)]


def is_worker(pid: int, parent: int) -> bool:
    """Return whether a process is a worker that `parent` has started.

    It is a child process and the leader of a session (see
    `zc.zkzopeserver.workers.process.spawn`), in the parent's PID namespace,
    and has the variable of a worker in its environment or, as setproctitle
    overwrites that, a worker's title.
    """
    try:
        process = psutil.Process(pid)
        if (process.ppid() != parent or os.getsid(pid) != pid
                or namespace(pid) != namespace(parent)):
            return False
        words = process.cmdline() or ['']
        if protocol.is_title(words[0], 'worker'):
            return True
        return protocol.VARIABLE in process.environ()
    except (psutil.Error, OSError):
        return False


def namespace(pid: int) -> tuple[int, int] | None:
    """Return device and inode of the PID namespace of a process.

    They identify it (namespaces(7)).  None where there are no namespaces.
    Raises OSError when this process may not trace that one, or there is no
    such process.
    """
    if not os.path.exists('/proc/self/ns/pid'):
        return None
    status = os.stat(f'/proc/{pid}/ns/pid')
    return status.st_dev, status.st_ino
