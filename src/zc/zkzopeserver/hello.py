"""A WSGI application that greets, for the demo, tests and benchmarks."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any


def make_hello(global_conf: Mapping[str, str] | None = None,
               greeting: str = 'Hello, world.') -> Callable[..., Any]:
    """Return an application that answers every request with the greeting.

    A ``paste.app_factory``; `greeting` is the option of the app section.
    """
    body = (greeting + '\n').encode()
    headers = [('Content-Type', 'text/plain; charset=utf-8'),
               ('Content-Length', str(len(body)))]

    def hello(environ: dict[str, Any],
              start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response('200 OK', list(headers))
        return [body]

    return hello
