"""An application that tells which process answers, sometimes slowly."""
from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any


def make_echo(global_conf: Mapping[str, str] | None = None,
              greeting: str = 'echo', slow_every: str = '50',
              slow_s: str = '0.2', loaded: str = '',
              shows: str = '', leaks: str = '0',
              loads_s: str = '0') -> Callable[..., Any]:
    """Return an application that answers ``GREETING PID BODY``.

    A ``paste.app_factory``.  One of `slow_every` requests takes `slow_s`
    seconds.  Each process that loads it adds its id to the file `loaded`.
    `shows` is a WSGI variable whose value follows the body.  Each request
    leaks so many KiB as `leaks` says.  Loading it takes `loads_s` seconds.
    """
    # Not a wait for a condition: the application itself is slow.
    time.sleep(float(loads_s))
    if loaded:
        with open(loaded, 'a') as file:
            file.write(f'{os.getpid()}\n')
    numbers = itertools.count(1)
    leaked = []
    begin = f'{greeting} {os.getpid()} '.encode()

    def echo(environ: dict[str, Any],
             start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get('CONTENT_LENGTH') or 0)
        body = begin + environ['wsgi.input'].read(length)
        if shows:
            body += str(environ[shows]).encode()
        if leaks != '0':
            leaked.append(b'x' * 1024 * int(leaks))
        if next(numbers) % int(slow_every) == 0:
            time.sleep(float(slow_s))
        start_response('200 OK', [('Content-Type', 'text/plain'),
                                  ('Content-Length', str(len(body)))])
        return [body]

    return echo
