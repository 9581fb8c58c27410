"""``tree``: print the providers node with the live nodes.

It is the providers node of all machines, not only of this instance.
"""
from __future__ import annotations

from typing import Any

from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.cli.settings import read_running
from zc.zkzopeserver.cli.verbs import Verb

DESCRIPTION = """\
Show the providers node of the service and the nodes below it, the live nodes
of all machines included, as zookeeper_export does."""

STATUSES = """\
exit status: 0 fine; 2 an option or a file is wrong; 3 ZooKeeper cannot be
reached, or the path is not there."""


def run(instance: Instance, arguments: Any = None) -> int:
    """Print the tree; return the exit status.

    RegistrationError when it cannot be read, ConfigurationError when the
    server is not zc.zkzopeserver.
    """
    options = read_running(instance).ours
    with Providers(options) as providers:
        print(providers.tree(), end='')
    return 0


TREE = Verb(run, DESCRIPTION, STATUSES)
