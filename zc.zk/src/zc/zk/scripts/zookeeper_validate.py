"""``zookeeper_validate``: check whether a file can be imported."""
import argparse
from collections.abc import Sequence

from zc.zk.printable import printable
from zc.zk.scripts.command import Failure
from zc.zk.scripts.command import add_max_node_size
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import run
from zc.zk.scripts.files import add_format
from zc.zk.scripts.files import read_file_tree
from zc.zk.sync.diff import plan
from zc.zk.sync.operations import longest
from zc.zk.sync.operations import operations
from zc.zk.tree import Node


def validate(args: Sequence[str] | None = None) -> int | None:
    """Print what is wrong with a tree file, nothing when it is right."""
    parser = make_parser(
        'zookeeper_validate',
        'Check a tree file. Prints nothing when it can be imported.')
    parser.add_argument(
        'file', metavar='FILE', nargs='?', default='-',
        help='the tree file, - for standard input (default)')
    add_format(parser)
    add_max_node_size(parser)
    return run(parser, _main, args)


def _main(options: argparse.Namespace) -> None:
    tree = read_file_tree(options.file, options.format)
    try:
        large = [operation.path
                 for operation in operations(plan(tree, Node()), [])
                 if len(operation.frame) > longest(options.max_node_size)]
    except ValueError as error:
        raise Failure(f'{options.file}: {error}') from None
    if large:
        raise Failure('\n'.join(
            f'{options.file}: {printable(path)}: more than ZooKeeper takes'
            for path in large))
