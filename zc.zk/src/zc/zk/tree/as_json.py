"""Write a tree of nodes as JSON."""
import json
from collections.abc import Iterator

from zc.zk.tree.node import Node
from zc.zk.tree.stat import stat_fields


def tree_as_json(tree: Node) -> str:
    """Return a JSON object for a node and all nodes below it.

    The object has ``name``, ``properties`` and ``children``, an object from
    names to objects of the same form. It has ``acl``, a list of texts, and
    ``stat``, see `stat.stat_fields`, when they are known; ``ephemeral`` when
    that is true; and ``marks``, a list, when there are any.
    """
    return ''.join(_lines(tree))


def _lines(tree: Node) -> Iterator[str]:
    # Not one call of json.dumps: its recursion fails for deep trees.
    yield '{' + _fields(tree)
    stack = [iter(sorted(tree.children.items()))]
    is_first = True
    while stack:
        name, node = next(stack[-1], (None, None))
        indent = ' ' * len(stack)
        if node is None:
            stack.pop()
            yield '}}' if is_first else f'\n{indent[1:]}}}}}'
            is_first = False
            continue
        yield (f'{"" if is_first else ","}\n{indent}{json.dumps(name)}: {{'
               + _fields(node))
        stack.append(iter(sorted(node.children.items())))
        is_first = True
    yield '\n'


def _fields(node: Node) -> str:
    fields: dict[str, object] = {'name': node.name}
    if node.acl is not None:
        fields['acl'] = list(node.acl)
    if node.ephemeral:
        fields['ephemeral'] = True
    if node.marks:
        fields['marks'] = sorted(node.marks)
    if node.stat is not None:
        fields['stat'] = stat_fields(node.stat)
    fields['properties'] = node.properties
    return json.dumps(fields)[1:-1] + ', "children": {'
