"""No server outlives the test run that started it, however that ends.

A second small process holds one end of a pipe and is told which processes to
guard.  When the test run is gone, even by SIGKILL, the pipe closes and the
guard kills what is left.  (PR_SET_PDEATHSIG would be Linux only, and fires
when the thread that started the process ends.)

This file is also the guard's program, run by its path with ``-I -S``: it
imports the standard library alone.
"""
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable

_lock = threading.Lock()
_guarded: set[int] = set()
_guard: subprocess.Popen | None = None


def guard(pid: int) -> None:
    """See to it that the child ``pid`` dies with this process."""
    global _guard
    with _lock:
        if _guard is None:
            _guard = _start()
        _guarded.add(pid)
        _tell(_guard, f'+{pid}\n')


def release(pid: int) -> None:
    """Forget the child, which has ended; its number may be given again."""
    global _guard
    with _lock:
        if pid not in _guarded:
            return
        _guarded.discard(pid)
        if _guard is not None:
            _tell(_guard, f'-{pid}\n')
        if not _guarded and _guard is not None:
            _guard.stdin.close()
            _guard.wait()
            _guard = None


def _start() -> subprocess.Popen:
    # A session of its own, so that Ctrl-C does not end the guard first.
    return subprocess.Popen(
        [sys.executable, '-I', '-S', os.path.abspath(__file__)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, text=True, start_new_session=True)


def _tell(process: subprocess.Popen, line: str) -> None:
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:  # somebody killed it: nothing to be done
        pass


def main(lines: Iterable[str]) -> None:
    """Keep the list that the lines tell; at their end kill what is on it."""
    pids = set()
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
