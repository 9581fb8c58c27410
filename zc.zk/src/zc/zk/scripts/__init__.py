"""Commands that export, import, compare, check, change and delete trees.

Each function takes a list of arguments, by default those of the process. It
returns the exit status, None for 0. When something is wrong, it writes a line
for each problem to standard error and raises SystemExit with status 2, or 130
after Ctrl-C.
"""
from zc.zk.scripts.zookeeper_delete import delete
from zc.zk.scripts.zookeeper_diff import diff
from zc.zk.scripts.zookeeper_export import export
from zc.zk.scripts.zookeeper_import import import_
from zc.zk.scripts.zookeeper_set_property import set_property
from zc.zk.scripts.zookeeper_validate import validate

validate_ = validate  # its name in zc.zk 2

__all__ = ['delete', 'diff', 'export', 'import_', 'set_property', 'validate',
           'validate_']
