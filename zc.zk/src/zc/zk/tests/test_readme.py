"""The examples in the README, on both servers."""
import doctest
import unittest
from pathlib import Path

import manuel.capture
import manuel.doctest
import manuel.testing
import pytest
from zc.zk import testing
from zc.zk.testing.doctests import REAL_VARIABLE

README = Path(__file__).parents[4] / 'README.txt'

FLAGS = doctest.ELLIPSIS | doctest.REPORT_NDIFF


@pytest.mark.skipif(not README.exists(), reason='not in a checkout')
def test_readme(zookeeper, monkeypatch, no_leaks):
    monkeypatch.setenv(REAL_VARIABLE, zookeeper.connection_string)
    suite = manuel.testing.TestSuite(
        manuel.doctest.Manuel(optionflags=FLAGS) + manuel.capture.Manuel(),
        str(README), setUp=testing.setUp, tearDown=testing.tearDown)
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun == 1
    problems = [text for _, text in result.failures + result.errors]
    assert not problems, '\n'.join(problems)

