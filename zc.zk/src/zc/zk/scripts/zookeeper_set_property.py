"""``zookeeper_set_property``: set properties of one node."""
import argparse
from collections.abc import Sequence

from kazoo.exceptions import BadVersionError
from zc.zk.client import ZooKeeper
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc.zk.scripts.command import Failure
from zc.zk.scripts.command import add_connection
from zc.zk.scripts.command import connected
from zc.zk.scripts.command import make_parser
from zc.zk.scripts.command import node_path
from zc.zk.scripts.command import run
from zc.zk.scripts.files import write_stdout
from zc.zk.sync.diff import difference
from zc.zk.tree import Node
from zc.zk.tree import TreeError
from zc.zk.tree import parse_tree


def set_property(args: Sequence[str] | None = None) -> int | None:
    """Set properties of a node, keep its others, and print the changes."""
    parser = make_parser(
        'zookeeper_set_property',
        'Set properties of a node. Symbolic links in the path are followed.'
        ' Values are literals: strings have quotes, which must be protected'
        ' from the shell: "name=\'value\'".')
    add_connection(parser)
    parser.add_argument('path', metavar='PATH', type=node_path,
                        help='the node')
    parser.add_argument(
        'properties', metavar='NAME=LITERAL', nargs='+',
        help="a property; or a link, 'NAME -> PATH' or 'NAME => PATH NAME'")
    return run(parser, _main, args)


def _main(options: argparse.Namespace) -> None:
    new = _parsed(options.properties)
    with connected(options) as zk:
        path = zk.resolve(options.path)
        old = _update(zk, path, new)
    changes = difference(Node(properties=old | new), Node(properties=old),
                         path)
    write_stdout(''.join(f'{change}\n' for change in changes))


def _parsed(texts: list[str]) -> dict:
    properties: dict = {}
    problems = []
    for text in texts:
        try:
            if '\n' in text:
                raise Failure(f'a property is one line: {text!r}')
            node = parse_tree(f'/x\n  {text}').children['x']
            if not node.properties or node.children or node.acl:
                raise Failure(f'expected NAME=LITERAL: {text!r}')
        except TreeError as error:
            problems += [message for _, message in error.problems]
        except Failure as error:
            problems.append(str(error))
        else:
            properties |= node.properties
    if problems:
        raise Failure('\n'.join(problems))
    return properties


def _update(zk: ZooKeeper, path: str, new: dict) -> dict:
    """Set the properties; return all that the node had before."""
    while True:
        data, stat = zk.get(path)
        old = decode(data, path)
        if old | new == old and repr(old | new) == repr(old):
            return old
        try:
            zk.set(path, encode(old | new), stat.version)
        except BadVersionError:
            continue  # another client changed the node meanwhile
        return old
