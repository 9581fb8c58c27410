"""Kill the servers of a test run that ends, even by SIGKILL.

A small process, the guard, reads the numbers of the servers from a pipe. When
the test run ends, the pipe closes, and the guard kills the servers that are
left. (PR_SET_PDEATHSIG of prctl(2) is Linux only, and acts when the thread
that started the process ends.)

The guard runs this file by its path, with ``-I -S``: it can import nothing but
the standard library.
"""
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from typing import IO

_lock = threading.Lock()
_guarded: set[int] = set()
_guard: subprocess.Popen | None = None


def guard(pid: int) -> None:
    """Have the child `pid` killed when this process ends."""
    global _guard
    with _lock:
        if _guard is None:
            _guard = _start()
        _guarded.add(pid)
        _tell(_guard, f'+{pid}\n')


def release(pid: int) -> None:
    """Forget the child `pid`, which has ended: its number may be reused."""
    global _guard
    with _lock:
        if pid not in _guarded:
            return
        _guarded.discard(pid)
        if _guard is not None:
            _tell(_guard, f'-{pid}\n')
        if not _guarded and _guard is not None:
            _pipe(_guard).close()
            _guard.wait()
            _guard = None


def _start() -> subprocess.Popen:
    # In a session of its own, as Ctrl-C would end the guard first.
    return subprocess.Popen(
        [sys.executable, '-I', '-S', os.path.abspath(__file__)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, text=True, start_new_session=True)


def _tell(process: subprocess.Popen, line: str) -> None:
    try:
        _pipe(process).write(line)
        _pipe(process).flush()
    except BrokenPipeError:  # the guard was killed
        pass


def _pipe(process: subprocess.Popen) -> IO[str]:
    assert process.stdin is not None, 'it was started with a pipe'
    return process.stdin


def main(lines: Iterable[str]) -> None:
    """Read ``+PID`` and ``-PID`` lines; at their end kill what is left."""
    pids: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        (pids.add if line[0] == '+' else pids.discard)(pid)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


if __name__ == '__main__':
    main(sys.stdin)
