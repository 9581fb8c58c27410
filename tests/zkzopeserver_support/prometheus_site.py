"""An application that has metrics of its own, as a path."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any


def make_site(global_conf: Any = None, **local_conf: str) -> Callable:
    """Return an application with ``/metrics``; a ``paste.app_factory``."""
    def site(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ['PATH_INFO'] != '/metrics':
            start_response('404 Not Found', [('Content-Length', '0')])
            return []
        start_response('200 OK', [
            ('Content-Type', 'text/plain; version=0.0.4')])
        return [b'site_up 1\n']
    return site
