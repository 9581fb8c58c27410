"""The examples of README.txt are tests."""
import doctest
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / 'README.txt'


@pytest.mark.skipif(
    not README.exists(), reason='installed without its README')
def test_readme():
    failed, attempted = doctest.testfile(
        str(README), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert attempted > 20
    assert failed == 0
