"""The table of the verbs of ``bin/NAME``.

The module of a verb is imported when the verb is asked for.
"""
from __future__ import annotations

import dataclasses
import importlib
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
    own; None for `fg` without ``--reload``.  `description` and
    `statuses` (exit statuses) are texts of the help.

    When root calls any verb, the process becomes the user of the instance
    before `run`.  `starts` is whether the verb makes the server's process:
    then the directories of its files are made first, and no other user than
    that one and root may call it.

    `on_error(instance, error, arguments)` prints an error that is for the
    user to mend, and returns the exit status; None prints its text, and
    takes its own.
    """

    run: Callable[[Instance, Any], int]
    description: str
    statuses: str
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
    starts: bool = False
    on_error: Callable[[Instance, Exception, Any], int] | None = None


# A verb -> (its module, its line in the help).  In its module it is a `Verb`,
# by its name in capitals.
VERBS = {
    'fg': ('fg', 'serve in the foreground (the default)'),
    'start': ('start', 'serve in the background; returns when the server is'
                       ' up'),
    'stop': ('stop', 'stop the server; returns when it is gone'),
    'restart': ('reload', 'stop the server, if it runs, and start it'),
    'reload': ('reload', 'replace the workers one by one; returns when all'
                         ' are replaced'),
    'status': ('status', "compare the server's processes with ZooKeeper"),
    'forget': ('forget', 'end the ZooKeeper sessions of processes that have'
                         ' died'),
    'check': ('check', 'check ini, application and ZooKeeper without'
                       ' serving'),
    'logreopen': ('reload', 'open the log files anew, after a rotation'),
    'show': ('show', 'show the options in effect, and where each comes'
                     ' from'),
    'tree': ('tree', 'show the providers node with the live nodes'),
    'top': ('top', 'show what the workers do, live'),
    'monitor': ('monitor', 'send a command to the monitor servers'),
}


def find(name: str) -> Verb:
    """Import the module of a verb; return the verb."""
    module, _ = VERBS[name]
    return getattr(importlib.import_module(
        f'zc.zkzopeserver.cli.verbs.{module}'), name.upper())
