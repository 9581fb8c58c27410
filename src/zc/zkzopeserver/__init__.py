"""Run a WSGI application with zope.server, registered in ZooKeeper.

`run` is the ``paste.server_runner`` behind ``use = egg:zc.zkzopeserver``.
`event_for_testing` and `stop_for_testing` let a test wait for it and stop it.

All three are imported on first use: the recipe imports this package inside
buildout, which has no server.
"""
from __future__ import annotations

import importlib

__all__ = ['event_for_testing', 'run', 'stop_for_testing']


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(importlib.import_module('zc.zkzopeserver.runner'),
                       name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
