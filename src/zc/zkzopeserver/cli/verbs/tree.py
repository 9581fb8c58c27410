"""``tree``: the providers node, with the live nodes."""
from __future__ import annotations

from typing import Any

from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli.instance import Place
from zc.zkzopeserver.cli.providers import Registry
from zc.zkzopeserver.cli.settings import Settings
from zc.zkzopeserver.cli.verbs import Verb

DESCRIPTION = """\
Show the providers node of the service with all that is below it, the live
nodes of all machines included, as zookeeper_export does."""

STATUSES = """\
exit status: 0 fine; 2 an option or a file is wrong; 3 ZooKeeper cannot be
reached, or the path is not there."""


def run(place: Place, arguments: Any = None) -> int:
    """Print the tree."""
    processes.become(place.user)
    with Registry(Settings.of_running(place).ours) as registry:
        print(registry.tree(), end='')
    return 0


TREE = Verb(run, DESCRIPTION, STATUSES)
