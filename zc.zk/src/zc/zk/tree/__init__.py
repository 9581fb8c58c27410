"""Read and write trees of znodes as text.

::

    /node : type
      # a comment
      name = 'literal'
      link -> /path
      linked_property => /path property
      [ 'any name' ] = 'literal'
      [ acl ] = ['world:anyone:r']
      [ ephemeral ]
      / 'any name'

Each line that zc.zk 2 could read means the same here. The last four forms
are new. zc.zk 2 refuses them. They hold what it could not write: names that
it would not read back, access control lists, and marks. A mark is one of
``ephemeral``, ``absent``, ``unreadable``, ``empty`` and ``null``; see
`node.MARKS`.
"""
from zc.zk.tree.formatter import format_tree
from zc.zk.tree.lines import MAX_LINE
from zc.zk.tree.node import ABSENT
from zc.zk.tree.node import EMPTY
from zc.zk.tree.node import MAX_DEPTH
from zc.zk.tree.node import NULL
from zc.zk.tree.node import UNREADABLE
from zc.zk.tree.node import Node
from zc.zk.tree.node import TreeError
from zc.zk.tree.node import is_link
from zc.zk.tree.node import name_problem
from zc.zk.tree.node import without_ephemeral
from zc.zk.tree.parser import MAX_TEXT
from zc.zk.tree.parser import parse_tree

__all__ = ['ABSENT', 'EMPTY', 'MAX_DEPTH', 'MAX_LINE', 'MAX_TEXT', 'NULL',
           'UNREADABLE', 'Node', 'TreeError', 'format_tree', 'is_link',
           'name_problem', 'parse_tree', 'without_ephemeral']
