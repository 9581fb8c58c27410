"""Import PasteDeploy without importlib.metadata, until that is needed.

PasteDeploy imports it at once, to look up ``egg:`` in an ini.  With all that
it imports itself (email, zipfile, csv) it takes a quarter of the time that a
server needs to start.  A parent of workers looks nothing up, and neither does
an application that is named by its module.
"""
from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

NAME = 'importlib.metadata'

# zc.zk.connection.lateimport does the same for kazoo.  It is not used here, as
# it imports kazoo itself, which a parent does without until it is needed.


class LateMetadata(ModuleType):
    """Stands for importlib.metadata in PasteDeploy; imports it when used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(NAME) is self:
            # A later PasteDeploy may use it at once.
            del sys.modules[NAME]
        return getattr(import_module(NAME), name)


def import_paste_deploy() -> None:
    """Import `paste.deploy.loadwsgi`; where the real one is there, with it."""
    late = sys.modules.setdefault(NAME, LateMetadata(NAME))
    try:
        import_module('paste.deploy.loadwsgi')
    finally:
        if isinstance(late, LateMetadata) and sys.modules.get(NAME) is late:
            del sys.modules[NAME]


import_paste_deploy()
