"""Read a tree from text."""
from zc.zk.gcpause import paused
from zc.zk.tree.lines import ACL
from zc.zk.tree.lines import EPHEMERAL
from zc.zk.tree.lines import MARK
from zc.zk.tree.lines import NODE
from zc.zk.tree.lines import PROPERTY
from zc.zk.tree.lines import LineCache
from zc.zk.tree.node import MAX_DEPTH
from zc.zk.tree.node import Node
from zc.zk.tree.node import TreeError
from zc.zk.tree.strings import shorten

#: The longest text that is read, in characters.
MAX_TEXT = 2 ** 30


#: The most problems in one TreeError.
MAX_PROBLEMS = 10


@paused()
def parse_tree(text: str, node_class: type = Node) -> Node:
    """Return a node whose children are the top nodes of `text`.

    `node_class` is called without arguments for the returned node, and with
    a name for any other. Raise TreeError, which names the bad lines.
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
    """Add the nodes and properties of `lines` to `root`.

    Return what is wrong, as in TreeError. This is one long function, as a
    call for each line would double the time.
    """
    known = LineCache()
    problems: list[tuple[int, str]] = []
    # Of the last line: its indentation, the node that holds it, and the node
    # for deeper lines, which is None after a property.
    at, parent = -1, root
    last: Node | None = root
    # The enclosing indentations, outermost first, with their nodes.
    outer: list[tuple[int, Node]] = []
    for number, line in enumerate(lines, 1):
        parsed = known[line]
        if parsed is None:
            continue
        indent, kind, name, value = parsed
        try:
            if indent > at:
                above = _parent_of_deeper(last, len(outer))
                outer.append((at, parent))
                at, parent = indent, above
            elif indent < at:
                while indent < at:
                    last = parent
                    at, parent = outer.pop()
                if indent > at:
                    raise ValueError(
                        f'indented by {indent}, which no line above is')
            if kind is NODE:
                last = node = node_class(name)
                if name in parent.children:
                    raise ValueError('duplicate node')
                if value:
                    node.properties['type'] = value
                parent.children[name] = node
                continue
            last = None
            if kind is PROPERTY and parent is not root:
                if name in parent.properties:
                    raise ValueError('duplicate property')
                parent.properties[name] = value
            elif kind is ACL:
                _set_acl(parent, value, root)
            elif kind is MARK:
                _set_mark(parent, value, root)
            elif kind is PROPERTY:
                raise ValueError('there is no node above this property')
            else:
                # Lines below a bad node are not problems, too.
                last = node_class() if name else None
                raise value
        except ValueError as error:
            problems.append((number, f'{error}: {shorten(line.strip())}'))
            if len(problems) == MAX_PROBLEMS:
                break
    return problems


def _parent_of_deeper(above: Node | None, depth: int) -> Node:
    if above is None:
        raise ValueError('nothing can be indented under a property')
    if depth >= MAX_DEPTH:
        raise ValueError(f'more than {MAX_DEPTH} levels deep')
    return above


def _set_mark(node: Node, mark: str, root: Node) -> None:
    if node is root:
        raise ValueError('there is no node above this mark')
    if mark == EPHEMERAL:
        node.ephemeral = True
    else:
        node.marks |= {mark}


def _set_acl(node: Node, acl: tuple[str, ...] | ValueError,
             root: Node) -> None:
    if node is root:
        raise ValueError('there is no node above this ACL')
    if node.acl is not None:
        raise ValueError('duplicate ACL')
    if isinstance(acl, ValueError):
        raise acl
    node.acl = acl
