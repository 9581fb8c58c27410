"""``zookeeper_export``: write a tree as text, as JSON or as a graph."""
import argparse
from collections.abc import Callable
from collections.abc import Sequence

from zc.zk.graphvis import dot
from zc.zk.scripts.command import add_connection
from zc.zk.scripts.command import add_skip_unreadable
from zc.zk.scripts.command import connected
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import node_path
from zc.zk.scripts.command import run
from zc.zk.scripts.files import progress
from zc.zk.scripts.files import write_output
from zc.zk.sync.reader import read_tree
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc.zk.tree import without_ephemeral
from zc.zk.tree.as_json import tree_as_json

#: The mode of a file with access control lists: digests can be guessed.
PRIVATE = 0o600


def export(args: Sequence[str] | None = None) -> int | None:
    """Write a tree to standard output or to a file."""
    parser = make_parser(
        'zookeeper_export',
        'Write a live tree as text, as JSON or as a graph.')
    add_connection(parser)
    parser.add_argument(
        'path', metavar='PATH', nargs='?', default='/', type=node_path,
        help='the top of the tree (default: /)')
    parser.add_argument(
        '-e', '--ephemeral', action='store_true',
        help='include ephemeral nodes')
    parser.add_argument(
        '-o', '--output', metavar='FILE',
        help='the file to write, once the whole tree is read (default:'
             ' standard output)')
    parser.add_argument(
        '--format', choices=_FORMATS, default='text',
        help='text, which zookeeper_import reads (default); json; or dot, a'
             ' graph of the services and their links for Graphviz')
    parser.add_argument(
        '--acl', action='store_true',
        help='include access control lists; only its owner may read FILE then')
    parser.add_argument(
        '--exact', action='store_true',
        help='include access control lists, and mark nodes whose data is empty'
             ' or null, so that an import makes the same nodes')
    parser.add_argument(
        '--stat', action='store_true',
        help='include the session of ephemeral nodes, versions and times, as'
             ' comments; json always has them')
    add_skip_unreadable(parser, 'mark them')
    parser.add_argument(
        '--name', help='another name for the top node')
    return run(parser, _main, args)


def _main(options: argparse.Namespace) -> None:
    with_acl = options.acl or options.exact
    is_json = options.format == 'json'
    with connected(options) as zk, progress('reading') as report:
        tree = read_tree(
            zk.client, options.path, acl=with_acl,
            exact=options.exact or is_json, stat=options.stat or is_json,
            skip_unreadable=options.skip_unreadable, progress=report)
    if not options.ephemeral:
        tree = without_ephemeral(tree)
    if options.name:
        tree.name = options.name
    write_output(_FORMATS[options.format](tree), options.output,
                 PRIVATE if with_acl else None)


_FORMATS: dict[str, Callable[[Node], str]] = {
    'text': format_tree,
    'json': tree_as_json,
    'dot': dot,
}
