"""The command lines for trees.

Each of these functions takes a list of arguments, by default those of the
process. All exit with status 2 and one line for each problem when something
is wrong.
"""
from zc.zk.scripts.zookeeper_diff import diff
from zc.zk.scripts.zookeeper_export import export
from zc.zk.scripts.zookeeper_import import import_
from zc.zk.scripts.zookeeper_set_property import set_property
from zc.zk.scripts.zookeeper_validate import validate

validate_ = validate  # its name in zc.zk 2

__all__ = ['diff', 'export', 'import_', 'set_property', 'validate',
           'validate_']
