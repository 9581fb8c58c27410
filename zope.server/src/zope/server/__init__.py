"""A WSGI server in threads: it serves, drains and keeps its limits.

`Server` binds, serves and stops; `Settings` holds every limit; `Statistics`
is what a server is doing; `AccessLog` writes a line for each request;
`ServerError` is why a server cannot listen.
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from zope.server.errors import ServerError
from zope.server.settings import Settings

if TYPE_CHECKING:
    from zope.server.accesslog import AccessLog
    from zope.server.engine import Statistics
    from zope.server.server import Server

__all__ = ['AccessLog', 'Server', 'ServerError', 'Settings', 'Statistics']

# What a program that only reads the settings does not need.
_LATER = {
    'AccessLog': 'zope.server.accesslog',
    'Server': 'zope.server.server',
    'Statistics': 'zope.server.engine',
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_LATER[name]), name)
