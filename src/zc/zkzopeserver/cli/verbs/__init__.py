"""The verbs of ``bin/NAME``, each in a module that is imported on demand.

The table in `zc.zkzopeserver.cli.main` names the module of each verb.  There
the verb is a `Verb`, by its name in capitals.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from zc.zkzopeserver.cli.instance import Instance

if TYPE_CHECKING:
    import argparse


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb: the function that serves it, and its help.

    `run(instance, arguments)` returns the exit status.  `arguments` is the
    namespace of the verb's parser, to which `add_arguments` adds the verb's
    own; None for `fg` when no parser was needed.  `description` and
    `statuses` (exit statuses) are texts of the help.
    """

    run: Callable[[Instance, Any], int]
    description: str
    statuses: str
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
