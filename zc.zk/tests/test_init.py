"""The names of zc.zk, of which some are imported late."""
import subprocess
import sys

import pytest
import zc.zk
from zc.zk.sync.change import Change
from zc.zk.tree import parse_tree


@pytest.mark.parametrize('name', zc.zk.__all__)
def test_every_name_is_there(name):
    assert getattr(zc.zk, name) is not None


def test_names_that_are_imported_late():
    assert zc.zk.Change is Change
    assert zc.zk.parse_tree is parse_tree


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="'zc.zk' has no attribute 'no'"):
        zc.zk.no  # noqa: B018


def test_servers_do_not_import_the_code_for_trees():
    code = ('import sys, zc.zk; sys.exit(any(name.startswith(('
            "'zc.zk.tree', 'zc.zk.sync', 'zc.zk.embedded', 'psutil'))"
            ' for name in sys.modules))')
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60,
                   env={'PYTHONPATH': ':'.join(sys.path)})
