"""``zookeeper_delete``: delete nodes, or properties of nodes."""
import argparse
from collections.abc import Iterable
from collections.abc import Sequence

from kazoo.exceptions import NoNodeError
from zc.zk import sync
from zc.zk.client import ZooKeeper
from zc.zk.encoding import decode
from zc.zk.paths import normalize
from zc.zk.paths import split
from zc.zk.printable import printable
from zc.zk.scripts.backup import write_backup
from zc.zk.scripts.command import Failure
from zc.zk.scripts.command import add_connection
from zc.zk.scripts.command import add_max_deletes
from zc.zk.scripts.command import check_deletes
from zc.zk.scripts.command import connected
from zc.zk.scripts.command import counted
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import node_path
from zc.zk.scripts.command import run
from zc.zk.scripts.files import flush_stdout
from zc.zk.scripts.files import progress
from zc.zk.scripts.files import write_stdout
from zc.zk.sync.applier import apply
from zc.zk.sync.change import EPHEMERAL_NODE
from zc.zk.sync.change import Change
from zc.zk.sync.diff import difference
from zc.zk.tree import Node

#: The most nodes of a kind that an error names.
MAX_PROBLEMS = 20


def delete(args: Sequence[str] | None = None) -> int | None:
    """Delete nodes or properties, and print the changes."""
    parser = make_parser(
        'zookeeper_delete',
        'Delete nodes, or with --property properties of nodes. Links in the'
        ' path of a node are not followed, unless a property is deleted.'
        ' Nothing is deleted if one of the nodes may not be.')
    add_connection(parser)
    parser.add_argument(
        'paths', metavar='PATH', nargs='+', type=node_path, help='a node')
    parser.add_argument(
        '-r', '--recursive', action='store_true',
        help='delete all nodes below the nodes as well')
    parser.add_argument(
        '-p', '--property', metavar='NAME', action='append',
        dest='properties',
        help="delete this property, and not the node; 'NAME ->' and"
             " 'NAME =>' are links; can be repeated")
    parser.add_argument(
        '-d', '--dry-run', action='store_true',
        help='show the changes, and make none')
    parser.add_argument(
        '--backup', metavar='FILE',
        help='before any change, export the nodes, with all nodes below them,'
             ' to this file')
    add_max_deletes(parser)
    parser.add_argument(
        '--force', action='store_true',
        help='delete ephemeral nodes, which belong to running servers')
    parser.add_argument(
        '-q', '--quiet', action='store_true', help='do not show the changes')
    return run(parser, _main, args)


def _main(options: argparse.Namespace) -> None:
    paths = sorted(set(map(normalize, options.paths)))
    with connected(options) as zk:
        if options.properties:
            if options.recursive:
                raise Failure('--recursive is for nodes, and not for'
                              ' --property')
            paths = sorted({zk.resolve(path) for path in paths})
            changes = _without_properties(zk, paths, options.properties)
        else:
            changes = _plan(zk, paths, options)
        if not options.quiet or options.dry_run:
            write_stdout(''.join(f'{change}\n' for change in changes))
        todo = [change for change in changes if not change.is_note]
        if todo and not options.dry_run:
            check_deletes(todo, options.max_deletes)
            if options.backup:
                _back_up(zk, paths, todo, options)
            flush_stdout()
            with progress('deleting', len(todo)) as report:
                apply(zk.client, todo, progress=report)
    if not options.quiet and not options.dry_run:
        write_stdout(f'{counted(len(todo), "change")} made\n')


def _plan(zk: ZooKeeper, paths: list[str],
          options: argparse.Namespace) -> list[Change]:
    """Return the deletions of nodes; raise Failure if one may not be."""
    changes: dict[str, Change] = {}
    problems: list[str] = []
    for path in paths:
        if path == '/':
            raise Failure('the root cannot be deleted')
        try:
            planned = sync.plan_deletion(zk.client, path, options.force,
                                         False)
        except NoNodeError:
            problems.append(f'there is no node {printable(path)}'
                            + _link_of(zk, path))
            continue
        for change in planned:
            changes.setdefault(change.path, change)
    ephemerals = [change.path for change in changes.values()
                  if change.kind == EPHEMERAL_NODE]
    problems += [f'{printable(path)}: is ephemeral, and belongs to a running'
                 ' server; --force deletes it'
                 for path in sorted(ephemerals)[:MAX_PROBLEMS]]
    if not options.recursive:
        problems += _with_children(changes.values(), paths)
    if problems:
        raise Failure('\n'.join([*problems, 'nothing was changed']))
    # The nodes below a node come before it, whatever paths were named.
    return sorted(changes.values(),
                  key=lambda change: change.path.split('/'), reverse=True)


def _with_children(changes: Iterable[Change],
                   paths: list[str]) -> list[str]:
    """Return a problem for each named node with nodes below it."""
    named = set(paths)
    below: dict[str, int] = {}
    for change in changes:
        if change.path not in named:
            # Of the nodes above it, the nearest one that was named.
            above = split(change.path)[0]
            while above not in named and above != '/':
                above = split(above)[0]
            below[above] = below.get(above, 0) + 1
    return [f'{printable(path)}: has {counted(number, "node")} below it;'
            ' --recursive deletes them as well'
            for path, number in sorted(below.items())[:MAX_PROBLEMS]]


def _link_of(zk: ZooKeeper, path: str) -> str:
    """Return a hint if the path is a symbolic link, else an empty text."""
    parent, name = split(path)
    try:
        properties = zk.get_properties(parent)
    except NoNodeError:
        return ''
    target = properties.get(f'{name} ->')
    if target is None:
        return ''
    return (f', but a link to {printable(target)}; --property'
            f" '{printable(name)} ->' of {printable(parent)} deletes it")


def _without_properties(zk: ZooKeeper, paths: list[str],
                        names: list[str]) -> list[Change]:
    """Return the changes that remove properties; raise Failure if not all."""
    changes: list[Change] = []
    problems: list[str] = []
    for path in paths:
        data, stat = zk.get(path)
        old = decode(data, path)
        gone = set()
        for name in names:
            found = [known for known in (name, f'{name} ->', f'{name} =>')
                     if known in old]
            if name in old or len(found) == 1:
                gone.add(found[0])
            elif found:
                problems.append(
                    f'{printable(path)}: {printable(name)} is ambiguous:'
                    f' {", ".join(map(repr, found))}')
            else:
                problems.append(
                    f'{printable(path)}: has no property {printable(name)}')
        new = {name: value for name, value in old.items() if name not in gone}
        changes += difference(
            Node(properties=new),
            Node(properties=old, version=stat.version), path)
    if problems:
        raise Failure('\n'.join([*problems, 'nothing was changed']))
    return changes


def _back_up(zk: ZooKeeper, paths: list[str], todo: list[Change],
             options: argparse.Namespace) -> None:
    """Export the nodes in a form that can be imported again."""
    if '/' in paths:
        raise Failure('a backup cannot hold the properties of the root;'
                      ' nothing was changed')
    parents = [split(path)[0].split('/') for path in paths]
    shared = []
    for names in zip(*parents, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    above = '/'.join(shared) or '/'
    start = 0 if above == '/' else len(above)
    tops = {path[start:].split('/')[1] for path in paths}
    write_backup(
        zk, Node(children={name: Node(name) for name in tops}), above, todo,
        options.backup, f'of {options.connection} before zookeeper_delete;'
        ' to go back, import this file at that path',
        ephemeral=options.force)
