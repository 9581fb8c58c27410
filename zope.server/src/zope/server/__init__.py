"""A WSGI server in threads that stops without losing a request.

`serve` serves an application until a signal stops it.  `Server` is what it
uses: it binds, serves and stops; `Settings` holds the limits; `Statistics`
counts what a server does; `AccessLog` writes a line for each request.
`ServerError` says why a server cannot listen, `SettingsError` which settings
are wrong.
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from zope.server.errors import ServerError
from zope.server.options import SettingsError
from zope.server.settings import Settings

if TYPE_CHECKING:
    from zope.server.accesslog import AccessLog
    from zope.server.engine import Statistics
    from zope.server.runner import serve
    from zope.server.server import Server

__all__ = ['AccessLog', 'Server', 'ServerError', 'Settings', 'SettingsError',
           'Statistics', 'serve']

# Modules that are imported at first use: name -> module.  zc.zkzopeserver
# reads the settings inside of buildout, where nothing is served.
_LATER = {
    'AccessLog': 'zope.server.accesslog',
    'Server': 'zope.server.server',
    'Statistics': 'zope.server.engine',
    'serve': 'zope.server.runner',
}


if not TYPE_CHECKING:
    # A type checker knows the names from the imports above alone.
    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(
                f'module {__name__!r} has no attribute {name!r}')
        return getattr(import_module(_LATER[name]), name)
