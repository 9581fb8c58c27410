"""House rules, read from the sources: loggers, sizes, typing markers."""
import ast
import re

import pytest
from zkzopeserver_support.sources import ALL
from zkzopeserver_support.sources import ROOT
from zkzopeserver_support.sources import SOURCES
from zkzopeserver_support.sources import imported
from zkzopeserver_support.sources import parse

OPERATIONS = ROOT / 'doc' / 'operations.txt'


def logger_arguments():
    """(module, syntax of the argument) of each `getLogger` call."""
    for module, path in ALL.items():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Call) and (
                    ast.unparse(node.func) == 'logging.getLogger'):
                yield from ((module, each) for each in node.args)


def test_no_logger_has_the_name_of_its_module():
    # Names of loggers are an interface for operators; modules move.
    assert [module for module, argument in logger_arguments()
            if ast.unparse(argument) == '__name__'] == []


@pytest.mark.skipif(not OPERATIONS.exists(), reason='not in a checkout')
def test_the_loggers_are_those_of_the_documentation():
    section = OPERATIONS.read_text(encoding='utf-8').partition(
        '\nLoggers\n')[2].partition('\n\n\n')[0]
    documented = set(re.findall(r'^``([\w.]+)``', section, re.MULTILINE))
    used = {argument.value for module, argument in logger_arguments()
            if isinstance(argument, ast.Constant)}
    # kazoo's own are not ours to document.
    assert documented == {name for name in used
                          if not name.startswith('kazoo')}


# What is shorter than a module is to be, and why.
SHORT = {
    'zc.zkzopeserver.hello': 'an application that examples name',
    'zc.zkzopeserver.parttree': 'scripts of an older recipe import it',
}

# What is longer, and why.
LONG = {
    'zope.server.connection': 'calls into other modules cost each request',
}


@pytest.mark.parametrize('module', [
    module for module, path in ALL.items() if path.name != '__init__.py'])
def test_modules_have_35_to_450_lines(module):
    lines = len(ALL[module].read_text(encoding='utf-8').splitlines())
    assert lines >= 35 or module in SHORT
    assert lines <= 450 or module in LONG


TESTS = [path for folder in ('tests', 'zope.server/tests', 'zc.zk/tests',
                             'zc.monitor/tests')
         for path in sorted((ROOT / folder).rglob('*.py'))]


@pytest.mark.parametrize('path', TESTS, ids=[
    str(path.relative_to(ROOT)) for path in TESTS])
def test_no_module_of_tests_imports_another(path):
    names = {name.split('.')[0] for name in imported(path)}
    assert names.isdisjoint(each.stem for each in TESTS
                            if each.stem.startswith(('test_', 'conftest')))


@pytest.mark.parametrize('distribution', SOURCES)
def test_type_checkers_read_the_annotations(distribution):
    assert (SOURCES[distribution] / 'py.typed').is_file()
