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
              shows: str = '') -> Callable[..., Any]:
    """Return an application that answers ``GREETING PID BODY``.

    A ``paste.app_factory``.  One of `slow_every` requests takes `slow_s`
    seconds.  Each process that loads it adds its id to the file `loaded`.
    `shows` is a WSGI variable whose value follows the body.
    """
    if loaded:
        with open(loaded, 'a') as file:
            file.write(f'{os.getpid()}\n')
    numbers = itertools.count(1)
    begin = f'{greeting} {os.getpid()} '.encode()

    def echo(environ: dict[str, Any],
             start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get('CONTENT_LENGTH') or 0)
        body = begin + environ['wsgi.input'].read(length)
        if shows:
            body += str(environ[shows]).encode()
        if next(numbers) % int(slow_every) == 0:
            time.sleep(float(slow_s))
        start_response('200 OK', [('Content-Type', 'text/plain'),
                                  ('Content-Length', str(len(body)))])
        return [body]

    return echo
