"""``zookeeper_diff``: compare a file with a live tree, or two live trees."""
import argparse
import json
from collections.abc import Sequence

from zc.zk.client import ZooKeeper
from zc.zk.scripts.command import Failure
from zc.zk.scripts.command import add_connection
from zc.zk.scripts.command import add_skip_unreadable
from zc.zk.scripts.command import connected
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import node_path
from zc.zk.scripts.command import run
from zc.zk.scripts.files import add_format
from zc.zk.scripts.files import progress
from zc.zk.scripts.files import read_file_tree
from zc.zk.scripts.files import write_stdout
from zc.zk.sync import has_acl
from zc.zk.sync.change import Change
from zc.zk.sync.diff import difference
from zc.zk.sync.reader import read_tree

DIFFERENT = 1


def diff(args: Sequence[str] | None = None) -> int | None:
    """Print the differences; return 1 when there are any."""
    parser = make_parser(
        'zookeeper_diff',
        'Show the changes that would make a live tree equal to a file, or to'
        ' another live tree. The exit status is 0 when they are equal, 1 when'
        ' they differ.')
    add_connection(parser)
    parser.add_argument(
        'wanted', metavar='FILE',
        help='the tree file, - for standard input; with --live the path of a'
             ' node')
    parser.add_argument(
        'path', metavar='PATH', nargs='?', default='/', type=node_path,
        help='the node below which the file would be imported; with --live'
             ' the other node (default: /)')
    parser.add_argument(
        '-l', '--live', action='store_true',
        help='compare two live nodes, and all nodes below them')
    parser.add_argument(
        '-a', '--all', action='store_true',
        help='count nodes below PATH that the file does not name at its top'
             ' as differences')
    parser.add_argument(
        '-e', '--ephemeral', action='store_true',
        help='compare ephemeral nodes as well')
    parser.add_argument(
        '--acl', action='store_true',
        help='with --live, compare access control lists as well; those in a'
             ' file are always compared')
    parser.add_argument(
        '--json', action='store_true', help='write a JSON list')
    parser.add_argument(
        '-q', '--quiet', action='store_true',
        help='write nothing, only exit with the status')
    add_format(parser)
    add_skip_unreadable(parser, 'ignore them')
    return run(parser, _main, args)


def _main(options: argparse.Namespace) -> int | None:
    if options.live:
        if not options.wanted.startswith('/'):
            raise Failure(f'{options.wanted!r}: the path of a node begins'
                          ' with /')
        compare = _live
    else:
        options.tree = read_file_tree(options.wanted, options.format)
        compare = _file
    with connected(options) as zk:
        changes = compare(zk, options)
    if options.quiet:
        pass
    elif options.json:
        objects = [change.as_json() for change in changes]
        write_stdout(json.dumps(objects, indent=1) + '\n')
    else:
        write_stdout(''.join(f'{change}\n' for change in changes))
    return DIFFERENT if changes else None


def _live(zk: ZooKeeper, options: argparse.Namespace) -> list[Change]:
    with progress('reading') as report:
        wanted, live = (
            read_tree(zk.client, path, acl=options.acl,
                      skip_unreadable=options.skip_unreadable,
                      progress=report)
            for path in (options.wanted, options.path))
    return difference(wanted, live, options.path,
                      ephemeral=options.ephemeral,
                      skip_unreadable=options.skip_unreadable)


def _file(zk: ZooKeeper, options: argparse.Namespace) -> list[Change]:
    wanted = options.tree
    with progress('reading') as report:
        live = read_tree(
            zk.client, options.path, acl=has_acl(wanted),
            like=None if options.all else wanted,
            skip_unreadable=options.skip_unreadable, progress=report)
    wanted.properties = live.properties  # a file has none for its top
    return difference(wanted, live, options.path,
                      ephemeral=options.ephemeral,
                      skip_unreadable=options.skip_unreadable)
