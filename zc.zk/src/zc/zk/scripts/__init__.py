"""The command lines for trees.

Each of these functions takes a list of arguments, by default those of the
process. All exit with status 2 and one line for each problem when something
is wrong.
"""
from zc.zk.scripts.diffing import diff
from zc.zk.scripts.exporting import export
from zc.zk.scripts.importing import import_
from zc.zk.scripts.setting import set_property
from zc.zk.scripts.validating import validate

validate_ = validate  # its name in zc.zk 2

__all__ = ['diff', 'export', 'import_', 'set_property', 'validate',
           'validate_']
