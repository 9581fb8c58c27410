"""``bin/NAME-tree``: the part of the ZooKeeper tree that a server needs.

Only that part is read and changed: the top nodes of the tree's file, and what
is below them.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from collections.abc import Sequence

import zc.zk
from zc.zk.printable import printable_lines
from zc.zk.scripts.command import ERRORS
from zc.zk.scripts.command import error_text
from zc.zk.tree import parse_tree

from zc.zkzopeserver import options as server_options
from zc.zkzopeserver import registration
from zc.zkzopeserver.errors import StartError

STATUSES = """\
exit status: 0 done, or no difference; 1 there are differences; 2 trouble, such
as a ZooKeeper that cannot be reached."""


def execute(tree: str, options: Mapping[str, str],
            argv: Sequence[str]) -> int:
    """Compare, import or export the tree in a file; return the exit status.

    See `zc.zkzopeserver.parttree.main`, which scripts call.
    """
    arguments = parser().parse_args(argv)
    try:
        with open(tree, encoding='utf-8') as file:
            text = file.read()
        with connected(options) as zk:
            return arguments.verb(zk, text, arguments)
    except (StartError, server_options.OptionsError, *ERRORS) as error:
        for line in printable_lines(error_text(error)):
            print(f'{tree}: {line}', file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    tree_parser = argparse.ArgumentParser(
        epilog=STATUSES, description='The part of the ZooKeeper tree that a'
        ' server needs, as its buildout has it.',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = tree_parser.add_subparsers(required=True, metavar='VERB')
    diff = verbs.add_parser('diff', help='print what an import would change')
    diff.set_defaults(verb=show)
    import_ = verbs.add_parser('import', help='create the nodes of the file'
                               ' and set their properties')
    import_.add_argument('--dry-run', action='store_true',
                         help='only print what would be changed')
    import_.set_defaults(verb=apply)
    export_ = verbs.add_parser('export', help='print the nodes as they are')
    export_.add_argument('--ephemeral', action='store_true',
                         help='print the nodes of running servers as well')
    export_.set_defaults(verb=export)
    return tree_parser


def connected(options: Mapping[str, str]) -> zc.zk.ZooKeeper:
    """Connect to ZooKeeper as the server itself would."""
    parsed = server_options.parse(options)
    return zc.zk.ZooKeeper(
        parsed.zookeeper,
        auth=registration.read_auth_file(parsed.zookeeper_auth_file),
        ca=parsed.zookeeper_ca, cert=parsed.zookeeper_cert,
        key=parsed.zookeeper_key)


def show(zk: zc.zk.ZooKeeper, text: str, _: argparse.Namespace) -> int:
    """Print what an import would change; return 1 for a change, else 0."""
    changes = [change for change in zk.plan(text, trim=False)
               if not change.is_note]
    for change in changes:
        print(change)
    return 1 if changes else 0


def apply(zk: zc.zk.ZooKeeper, text: str,
          arguments: argparse.Namespace) -> int:
    """Import the text and print what that has changed; return 0."""
    for change in zk.import_tree(text, trim=False,
                                 dry_run=arguments.dry_run):
        if not change.is_note:
            print(change)
    return 0


def export(zk: zc.zk.ZooKeeper, text: str,
           arguments: argparse.Namespace) -> int:
    """Print the top nodes of the text that exist; return 0."""
    for name in parse_tree(text).children:
        if zk.exists(f'/{name}'):
            print(zk.export_tree(f'/{name}', arguments.ephemeral), end='')
    return 0
