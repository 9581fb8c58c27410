"""The form of the server: interpreted, or compiled by mypyc.

Both have the same source.  A build with the environment variable
ZOPE_SERVER_COMPILED=1 compiles the modules that MODULES names, which run for
each request; ``setup.py`` reads it here.
"""
from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr

__all__ = ['INTERPRETED', 'COMPILED', 'MODULES', 'form', 'mypyc_attr']

INTERPRETED = 'interpreted'
COMPILED = 'compiled'
# Of zope.server.  Errors and memory (body, buffers, chunked, files) are not
# compiled: they gain nothing.
MODULES = ('connection', 'headers', 'loop', 'measured', 'output', 'parser',
           'proxied', 'rate', 'receiver', 'request', 'response', 'shared',
           'task', 'threadpool')

if not TYPE_CHECKING:
    def mypyc_attr(*names: str, **values: Any) -> Any:
        """Return a class as it is: mypyc reads this decorator in the source.

        So the server does not need mypy_extensions.
        """
        return lambda decorated: decorated


def form() -> str:
    """Return INTERPRETED or COMPILED."""
    spec = find_spec('zope.server.loop')
    is_source = spec is None or (spec.origin or '').endswith(('.py', '.pyc'))
    return INTERPRETED if is_source else COMPILED
