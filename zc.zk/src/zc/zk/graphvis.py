"""Draw services and the links between them as a graph for Graphviz.

A service is a node with a child ``providers``. It uses another service if it
has a symbolic link to the ``providers`` of the other. Links of the nodes below
it count as its own, down to nodes that are services themselves.

``python -m zc.zk.graphvis [TREE [OUTPUT]]`` writes the graph of a tree file.
"""
import sys
from collections.abc import Iterator

from zc.zk.paths import relative_to
from zc.zk.printable import printable
from zc.zk.tree import Node
from zc.zk.tree import is_link
from zc.zk.tree import parse_tree

_PROVIDERS = '/providers'

Edge = tuple[str, str]


def get_edges(tree: Node | str) -> list[Edge]:
    """Return a list of pairs of paths: a service, and a service it uses.

    `tree` is a tree, its text, or the name of a file. The name ``-`` stands
    for standard input.
    """
    return [edge for service, edges in _services(_parsed(tree))
            for edge in edges]


def dot(tree: Node | str) -> str:
    """Return the graph in Graphviz's language, DOT; see `get_edges`."""
    lines = []
    for service, edges in _services(_parsed(tree)):
        lines += _lines(edges) or [f'  {_quoted(service)};\n']
    return _graph(lines)


def dump_edges(edges: list[Edge] | Node | str,
               fname: str | None = None) -> None:
    """Write a graph to the file `fname`, or to standard output.

    `edges` is a list of edges, or a tree as in `get_edges`. None and ``-``
    stand for standard output.
    """
    if not isinstance(edges, list):
        edges = get_edges(edges)
    graph = _graph(_lines(edges))
    if fname and fname != '-':
        with open(fname, 'w', encoding='utf-8') as file:
            file.write(graph)
    else:
        sys.stdout.write(graph)


def _parsed(tree: Node | str) -> Node:
    if not isinstance(tree, str):
        return tree
    if '\n' not in tree:
        if tree == '-':
            tree = sys.stdin.read()
        else:
            with open(tree, encoding='utf-8') as file:
                tree = file.read()
    return parse_tree(tree)


def _services(tree: Node) -> Iterator[tuple[str, list[Edge]]]:
    """Yield pairs of a service and its edges, in the order of paths."""
    edges: dict[str, list[Edge]] = {}
    stack = [(tree, '', '')]
    while stack:
        node, path, service = stack.pop()
        if 'providers' in node.children:
            service = path or '/'
            edges[service] = []
        if service:
            edges[service] += [
                (service, used) for used in _used(node, path or '/')]
        stack += [(node.children[name], f'{path}/{name}', service)
                  for name in sorted(node.children, reverse=True)]
    yield from edges.items()


def _used(node: Node, path: str) -> Iterator[str]:
    for name in sorted(node.properties):
        target = node.properties[name]
        if is_link(name) and isinstance(target, str):
            target = relative_to(path, target)
            if target.endswith(_PROVIDERS):
                yield target.removesuffix(_PROVIDERS) or '/'


def _lines(edges: list[Edge]) -> list[str]:
    return [f'  {_quoted(user)} -> {_quoted(used)};\n'
            for user, used in edges]


def _graph(lines: list[str]) -> str:
    return 'digraph g {\n' + ''.join(lines) + '}\n'


def _quoted(name: str) -> str:
    name = printable(name, len(name))
    escaped = name.replace('\\', '\\\\').replace('"', '\\"')
    return f'"{escaped}"'


if __name__ == '__main__':
    dump_edges(*(sys.argv[1:] or ['-']))
