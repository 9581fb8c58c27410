"""Import kazoo without OpenSSL and uuid, which few clients need.

kazoo imports `ssl` and `hashlib` at once. It uses them only for TLS, and for
the hashes of digest ACLs. With OpenSSL's libraries they take 5 MB of each
process, 1 MB of it private, and a quarter of the time that the import of
kazoo takes. Its recipes, such as locks, use `uuid`, which takes 2 ms. A module
that the process has imported already is left as it is.
"""
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

LATE_MODULES = 'ssl', 'hashlib', 'uuid'


class LateModule(ModuleType):
    """Stands for a module in kazoo, and imports it when it is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        if name == 'SSLError' and self.__name__ not in sys.modules:
            # An `except` clause of kazoo asks for it when a plain connection
            # has failed. No code can have raised it yet, and an import may
            # be impossible then, as without file descriptors.
            return NeverRaised
        return getattr(import_module(self.__name__), name)


class NeverRaised(Exception):
    """Stands for SSLError while `ssl` is not imported."""


def import_kazoo() -> None:
    """Import `kazoo.client`, and all that it imports, but LATE_MODULES."""
    late = {name: LateModule(name) for name in LATE_MODULES
            if name not in sys.modules}
    sys.modules.update(late)
    try:
        import_module('kazoo.client')
    finally:
        for name, module in late.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


import_kazoo()
