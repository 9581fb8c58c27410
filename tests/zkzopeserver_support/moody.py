"""An application that hangs, or is sick, as files in a folder say."""
from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zc.zk.testing.waiting import wait_for

# What the ini of a server says of it, without the folder.
MOODY = 'call:zkzopeserver_support.moody:make_moody'
# Seconds that /slow takes: less than any time after which a server hangs.
SLOW_S = 0.2


def make_moody(global_conf: Mapping[str, str] | None = None, *,
               folder: str) -> Callable[..., Any]:
    """Return the application, a ``paste.app_factory``.

    ``/hang`` answers once the folder has a file ``go``.  ``/health`` answers
    with the status in its file ``sick``, 200 without one, and adds a line
    with the host to the file ``asked``.
    """
    place = Path(folder)

    def moody(environ: dict[str, Any],
              start_response: Callable[..., Any]) -> Iterable[bytes]:
        path, status = environ['PATH_INFO'], '200 OK'
        if path == '/hang':
            wait_for(lambda: (place / 'go').exists(), 300)
        elif path == '/slow':
            # Not a wait for a condition: the application itself is slow.
            time.sleep(SLOW_S)
        elif path == '/health':
            with (place / 'asked').open('a') as file:
                file.write(f'HTTP_HOST={environ["HTTP_HOST"]!r}\n')
            if (place / 'sick').exists():
                status = (place / 'sick').read_text() or status
        start_response(status, [('Content-Length', '2')])
        return [b'ok']

    return moody
