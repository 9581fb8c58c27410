"""The entry point of tree scripts, ``bin/NAME-tree``.

Scripts that buildout has generated call `main` as
``zc.zkzopeserver.parttree.main(TREE, OPTIONS)``.  The name and the parameters
stay as they are, as such scripts outlive an upgrade, and as a script that
changes without need fires ``on-change``.
"""
from __future__ import annotations

import sys
from collections.abc import Mapping
from collections.abc import Sequence

from zc.zkzopeserver.cli.tree_script import execute


def main(tree: str, options: Mapping[str, str],
         argv: Sequence[str] | None = None) -> int:
    """Compare, import or export the tree of a part; return the exit status.

    `tree` is the path of a file with the text of the tree.  `options` are
    those server options that say where its ZooKeeper is and how to log in:
    ``zookeeper``, ``path``, ``zookeeper_auth_file`` and the files for TLS.
    `argv` are the words of the command line; None takes those of this
    process.

    The status is 0 when all is done or nothing differs, 1 when something
    differs, 2 when there is trouble.  Errors for the user to mend are
    printed, a line a problem.
    """
    return execute(tree, options, sys.argv[1:] if argv is None else argv)
