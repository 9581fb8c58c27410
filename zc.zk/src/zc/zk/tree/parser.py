"""From text to a tree."""
from zc.zk.gcpause import paused
from zc.zk.tree.lines import ACL
from zc.zk.tree.lines import MAX_LINE
from zc.zk.tree.lines import NODE
from zc.zk.tree.lines import PROPERTY
from zc.zk.tree.lines import LineCache
from zc.zk.tree.node import Node
from zc.zk.tree.node import TreeError
from zc.zk.tree.strings import shorten

__all__ = ['MAX_DEPTH', 'MAX_LINE', 'MAX_PROBLEMS', 'MAX_TEXT', 'parse_tree']

#: The longest text that is read, in characters.
MAX_TEXT = 2 ** 30

#: How many levels of nodes are read.
MAX_DEPTH = 1000

#: How many problems one error tells.
MAX_PROBLEMS = 10


@paused()
def parse_tree(text: str, node_class: type = Node) -> Node:
    """Return a node whose children are the top nodes of `text`.

    `node_class` is called without arguments, and with the name of a node.
    Raises TreeError, which names the lines.
    """
    if len(text) > MAX_TEXT:
        raise TreeError([(1, f'the text is longer than {MAX_TEXT}'
                             ' characters')])
    root = node_class()
    problems = _add_lines(root, text.split('\n'), node_class)
    if problems:
        raise TreeError(problems)
    return root


def _add_lines(root: Node, lines: list[str],
               node_class: type) -> list[tuple[int, str]]:
    """Add what the lines say; return what is wrong with them.

    One function, as calls for each line would take as long as all the rest.
    """
    known = LineCache()
    problems: list[tuple[int, str]] = []
    # Of the last line: its indentation, the node that it belongs to, and the
    # node that what is further in belongs to, None after a property.
    at, parent, last = -1, root, root
    # The indentations further out that are open, with their nodes.
    outer: list[tuple[int, Node]] = []
    for number, line in enumerate(lines, 1):
        parsed = known[line]
        if parsed is None:
            continue
        indent, kind, name, value = parsed
        try:
            if indent > at:
                _check_deeper(last, len(outer))
                outer.append((at, parent))
                at, parent = indent, last
            elif indent < at:
                while indent < at:
                    last = parent
                    at, parent = outer.pop()
                if indent > at:
                    raise ValueError(
                        f'indented by {indent}, which no line above is')
            if kind is NODE:
                last = node_class(name)
                if name in parent.children:
                    raise ValueError('duplicate node')
                if value:
                    last.properties['type'] = value
                parent.children[name] = last
                continue
            last = None
            if kind is PROPERTY and parent is not root:
                if name in parent.properties:
                    raise ValueError('duplicate property')
                parent.properties[name] = value
            elif kind is ACL:
                _set_acl(parent, value, root)
            elif kind is PROPERTY:
                raise ValueError('there is no node above this property')
            else:
                # What is further in is then no problem as well.
                last = node_class() if name else None
                raise value
        except ValueError as error:
            problems.append((number, f'{error}: {shorten(line.strip())}'))
            if len(problems) == MAX_PROBLEMS:
                break
    return problems


def _check_deeper(above: Node | None, depth: int) -> None:
    if above is None:
        raise ValueError('nothing can be indented under a property')
    if depth >= MAX_DEPTH:
        raise ValueError(f'more than {MAX_DEPTH} levels deep')


def _set_acl(node: Node, acl: tuple[str, ...] | ValueError,
             root: Node) -> None:
    if node is root:
        raise ValueError('there is no node above this ACL')
    if node.acl is not None:
        raise ValueError('duplicate ACL')
    if isinstance(acl, ValueError):
        raise acl
    node.acl = acl
