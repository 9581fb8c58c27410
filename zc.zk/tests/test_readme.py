"""The examples in the README, on both servers."""
import contextlib
import doctest
import io
import re
import shlex
import unittest
from pathlib import Path

import manuel
import manuel.capture
import manuel.doctest
import manuel.testing
import pytest
from zc.zk import scripts
from zc.zk import testing
from zc.zk.testing.doctests import REAL_VARIABLE

README = Path(__file__).parents[1] / 'README.txt'

FLAGS = doctest.ELLIPSIS | doctest.REPORT_NDIFF

#: A command behind a dollar sign, and what it writes, up to an empty line.
COMMAND = re.compile(
    r'^ +\$ zookeeper_(?P<name>delete|export|import|diff|set_property)'
    r' (?P<args>.*)\n'
    r'(?P<output>(?: +\S.*\n)*)', re.MULTILINE)

COMMANDS = {
    'delete': scripts.delete,
    'export': scripts.export,
    'import': scripts.import_,
    'diff': scripts.diff,
    'set_property': scripts.set_property,
}


@pytest.mark.skipif(not README.exists(), reason='not in a checkout')
def test_readme(zookeeper, no_leaks, monkeypatch, tmp_path):
    monkeypatch.setenv(REAL_VARIABLE, zookeeper.connection_string)
    monkeypatch.chdir(tmp_path)
    suite = manuel.testing.TestSuite(
        manuel.doctest.Manuel(optionflags=FLAGS) + manuel.capture.Manuel()
        + manuel.Manuel([find], [run], [compare]),
        str(README), setUp=testing.setUp, tearDown=testing.tearDown)
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun == 1
    problems = [text for _, text in result.failures + result.errors]
    assert not problems, '\n'.join(problems)


def find(document):
    """Find the commands."""
    for region in document.find_regions(COMMAND):
        document.claim_region(region)
        region.parsed = region.start_match


def run(region, document, globs):
    """Run a command in this process, where the server's name is known."""
    if not isinstance(region.parsed, re.Match):
        return
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        COMMANDS[region.parsed['name']](shlex.split(region.parsed['args']))
    region.evaluated = output.getvalue()


def compare(document):
    """Tell where the output differs."""
    checker = doctest.OutputChecker()
    for region in document:
        if not isinstance(region.parsed, re.Match):
            continue
        wanted = re.sub('^    ', '', region.parsed['output'], flags=re.M)
        if not checker.check_output(wanted, region.evaluated, FLAGS):
            region.formatted = (
                f'line {region.lineno}: {region.source}'
                f'gave:\n{region.evaluated}')
