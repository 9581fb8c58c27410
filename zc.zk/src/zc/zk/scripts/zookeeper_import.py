"""``zookeeper_import``: change a live tree to what a file says."""
import argparse
import logging
from collections.abc import Sequence

from kazoo.security import ACL
from zc.zk import sync
from zc.zk.permissions import check_permission
from zc.zk.permissions import to_acl
from zc.zk.permissions import world
from zc.zk.printable import printable
from zc.zk.scripts.backup import write_backup
from zc.zk.scripts.command import add_connection
from zc.zk.scripts.command import add_max_deletes
from zc.zk.scripts.command import add_max_node_size
from zc.zk.scripts.command import add_skip_unreadable
from zc.zk.scripts.command import check_deletes
from zc.zk.scripts.command import connected
from zc.zk.scripts.command import counted
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import node_path
from zc.zk.scripts.command import run
from zc.zk.scripts.files import add_format
from zc.zk.scripts.files import flush_stdout
from zc.zk.scripts.files import progress
from zc.zk.scripts.files import read_file_tree
from zc.zk.scripts.files import write_stdout
from zc.zk.sync import sequential
from zc.zk.sync.applier import apply

logger = logging.getLogger('zc.zk.sync')


def import_(args: Sequence[str] | None = None) -> int | None:
    """Import a tree from a file or from standard input."""
    return run(_parser(), _main, args)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        'zookeeper_import',
        'Change the nodes below a path to those of a tree file. The changes'
        ' are shown first. If a run fails, a second run makes the rest of the'
        ' changes.')
    add_connection(parser)
    parser.add_argument(
        'file', metavar='FILE', nargs='?', default='-',
        help='the tree file, - for standard input (default)')
    parser.add_argument(
        'path', metavar='PATH', nargs='?', default='/', type=node_path,
        help='the node below which the tree is imported (default: /)')
    parser.add_argument(
        '-d', '--dry-run', action='store_true',
        help='show the changes, and make none')
    parser.add_argument(
        '-t', '--trim', action=argparse.BooleanOptionalAction,
        help='delete nodes that are not in the file, or with --no-trim do not'
             ' mention them; top nodes are never deleted')
    parser.add_argument(
        '--backup', metavar='FILE',
        help='before any change, export the nodes that the tree file names at'
             ' its top to this file')
    add_max_deletes(parser)
    parser.add_argument(
        '--force', action='store_true',
        help='change and delete ephemeral nodes as well')
    parser.add_argument(
        '-q', '--quiet', action='store_true', help='do not show the changes')
    add_format(parser)
    add_skip_unreadable(parser, 'leave them alone, and all below them')
    add_max_node_size(parser)
    _add_acl(parser)
    return parser


def _add_acl(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        'access', 'By default, existing nodes keep their access control lists,'
        ' and new nodes are open to everyone. An ACL in the file overrides'
        ' these options.')
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        '-p', '--permission', metavar='BITS', type=_permission,
        help='permissions of everyone for the nodes of the file, as a sum:'
             ' 1 read, 2 write, 4 create, 8 delete, 16 admin')
    either.add_argument(
        '--acl', metavar='SCHEME:ID:PERMISSIONS', action='append',
        type=_acl_entry,
        help='an entry of the access control list for the nodes of the file,'
             ' such as world:anyone:r; can be repeated')


def _main(options: argparse.Namespace) -> None:
    wanted = read_file_tree(options.file, options.format)
    acl = _acl(options)
    with connected(options) as zk:
        with progress('reading') as report:
            changes = sync.plan(
                zk.client, wanted, options.path, options.trim, acl,
                force=options.force,
                skip_unreadable=options.skip_unreadable, progress=report)
        if not options.quiet or options.dry_run:
            write_stdout(''.join(f'{change}\n' for change in changes))
        for path, following in sequential.conflicts(zk.client, changes):
            logger.warning(
                '%s: creating sequential nodes beside it can fail, as'
                ' ZooKeeper goes on with %s', printable(path),
                printable(following))
        todo = [change for change in changes if not change.is_note]
        if todo and not options.dry_run:
            check_deletes(todo, options.max_deletes)
            if options.backup:
                write_backup(
                    zk, wanted, options.path, todo, options.backup,
                    f'of {options.connection} before the import of'
                    f' {options.file!r}', ephemeral=options.force,
                    skip_unreadable=options.skip_unreadable)
            flush_stdout()
            with progress('changing', len(todo)) as report:
                apply(zk.client, todo, acl=acl, progress=report,
                      max_request=options.max_node_size)
    if not options.quiet and not options.dry_run:
        write_stdout(f'{counted(len(todo), "change")} made\n')


def _acl(options: argparse.Namespace) -> list[ACL] | None:
    if options.permission is not None:
        return world(options.permission)
    return to_acl(options.acl) if options.acl else None


def _permission(text: str) -> int:
    bits = int(text) if text.isdecimal() else -1
    if not 0 <= bits <= 31:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number from 0 to 31')
    return bits


def _acl_entry(text: str) -> str:
    try:
        check_permission(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
