"""Trees of nodes as text.

::

    /node : type
      # a comment
      name = 'literal'
      link -> /path
      linked_property => /path property
      [ 'any name' ] = 'literal'
      [ acl ] = ['world:anyone:r']
      / 'any name'

A line is what zc.zk 2 read, wherever zc.zk 2 read it. The last three forms,
errors to zc.zk 2, are for what it could not write: names that would not be
read back, and access control lists.
"""
from zc.zk.tree.formatter import format_tree
from zc.zk.tree.lines import MAX_LINE
from zc.zk.tree.node import Node
from zc.zk.tree.node import TreeError
from zc.zk.tree.node import is_link
from zc.zk.tree.node import name_problem
from zc.zk.tree.node import without_ephemeral
from zc.zk.tree.parser import MAX_DEPTH
from zc.zk.tree.parser import MAX_TEXT
from zc.zk.tree.parser import parse_tree

__all__ = ['MAX_DEPTH', 'MAX_LINE', 'MAX_TEXT', 'Node', 'TreeError',
           'format_tree', 'is_link', 'name_problem', 'parse_tree',
           'without_ephemeral']
