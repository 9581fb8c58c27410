"""The same small site in several web frameworks, for `tests/apps`.

Each module has `make_application(folder)`, where `folder` holds a file
``data.bin`` to send.  The paths: ``/hello``, ``/echo`` (what the application
was told), ``/form``, ``/upload``, ``/lines`` (a generator), ``/file``,
``/moved``, ``/empty``, ``/cookie``, ``/text`` and ``/broken``.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

LINES = 200


def told(environ: dict[str, Any], body: bytes) -> str:
    """Return as JSON what a server tells an application of a request."""
    names = ('REQUEST_METHOD', 'SCRIPT_NAME', 'PATH_INFO', 'QUERY_STRING',
             'SERVER_PROTOCOL', 'CONTENT_TYPE', 'CONTENT_LENGTH',
             'REMOTE_ADDR', 'wsgi.url_scheme')
    found = {name: environ.get(name) for name in names}
    found.update((name, value) for name, value in environ.items()
                 if name.startswith('HTTP_'))
    return json.dumps({**found, 'body': digest(body)}, sort_keys=True)


def digest(body: bytes) -> str:
    """Return the size and the hash of some bytes."""
    return f'{len(body)} {hashlib.sha256(body).hexdigest()}'


def lines() -> Iterator[bytes]:
    """Yield the lines of a long answer, one by one."""
    for number in range(LINES):
        yield f'{number},value {number},\N{SNOWMAN}\r\n'.encode()
