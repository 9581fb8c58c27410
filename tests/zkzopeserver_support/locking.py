"""An application that takes one of a few locks, as of a client's cache."""
from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Any


def make_application(global_conf: dict[str, str], locks: str,
                     text: str = '') -> Any:
    """Take the first free lock of so many, of the ini's folder.

    The application answers ``PID MULTIPROCESS TEXT``.  SystemExit when no lock
    is free.
    """
    for number in range(int(locks)):
        file = open(os.path.join(global_conf['here'], f'lock-{number}'), 'w')
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
        else:
            break
    else:
        raise SystemExit('no lock is free')

    def application(environ: dict[str, Any],
                    start_response: Callable[..., Any]) -> list[bytes]:
        assert not file.closed
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [f'{os.getpid()} {environ["wsgi.multiprocess"]} {text}'
                .encode()]

    return application
