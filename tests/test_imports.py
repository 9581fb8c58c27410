"""Who imports whom, read from the sources: one outside library per file, and
imports that only go down.
"""
import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    'zc.zkzopeserver': ROOT / 'src/zc/zkzopeserver',
    'zc.zk': ROOT / 'zc.zk/src/zc/zk',
    'zc.monitor': ROOT / 'zc.monitor/src/zc/monitor',
    'zope.server': ROOT / 'zope.server/src/zope/server',
}

# Import names that belong to one library.
LIBRARY = {'zope.interface': 'zope.component', 'kazoo': 'kazoo',
           'pkg_resources': 'zc.buildout', 'configparser': 'configparser'}

# Files that need two: (file, library) -> why.
SECOND = {
    ('zc.zkzopeserver.addresses', 'psutil'):
        'the addresses of an interface, beside the parser of hosts',
    ('zc.zkzopeserver.registration', 'kazoo'):
        "zc.zk leaves ZooKeeper's own errors to kazoo",
    ('zc.zkzopeserver.cli.providers', 'kazoo'):
        "zc.zk leaves ZooKeeper's own errors to kazoo",
}


def module_name(distribution, path):
    """The dotted name of a source file."""
    relative = path.relative_to(SOURCES[distribution]).with_suffix('')
    parts = [part for part in relative.parts if part != '__init__']
    return '.'.join([distribution, *parts])


def sources(distribution):
    """module name -> path, tests and test support left out."""
    return {module_name(distribution, path): path
            for path in sorted(SOURCES[distribution].rglob('*.py'))
            if not {'tests', 'testing'} & set(path.parts)
            and path.name != 'testing.py'}


def imported(path, module_level=False):
    """The dotted names that a file imports, anywhere in it.

    With `module_level`, only those that importing it imports.
    """
    tree = ast.parse(path.read_text(encoding='utf-8'))
    nodes = tree.body if module_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{path}: a relative import'
            for alias in node.names:
                yield f'{node.module}.{alias.name}'


def library(name):
    """The outside library of an imported name; None for Python's own."""
    for prefix, found in LIBRARY.items():
        if name == prefix or name.startswith(prefix + '.'):
            return found if found != 'configparser' else None
    first = name.split('.')[0]
    if first in sys.stdlib_module_names:
        return None
    if first in ('zc', 'zope', 'paste'):
        return '.'.join(name.split('.')[:2])
    return first


ALL = [(distribution, module, path) for distribution in SOURCES
       for module, path in sources(distribution).items()]


@pytest.mark.parametrize('distribution, module, path', ALL,
                         ids=[module for _, module, _ in ALL])
def test_one_outside_library_per_file(distribution, module, path):
    found = {library(name) for name in imported(path)}
    found -= {None, distribution}
    found = {name for name in found if (module, name) not in SECOND}
    if any(name.startswith('zc.') for name in found):
        # What builds on zc.buildout: its own recipes, and its base.
        found -= {'zc.buildout'}
    assert len(found) <= 1, sorted(found)


def inner(distribution):
    """module -> the modules of its distribution that it imports at once."""
    modules = sources(distribution)
    graph = {}
    for module, path in modules.items():
        graph[module] = set()
        for name in imported(path, module_level=True):
            while name and name not in modules:
                name = name.rpartition('.')[0]
            if name and name != module and not module.startswith(name + '.'):
                graph[module].add(name)
    return graph


@pytest.mark.parametrize('distribution', SOURCES)
def test_no_cycles(distribution):
    graph = inner(distribution)
    done, path = set(), []

    def visit(module):
        assert module not in path, ' -> '.join([*path, module])
        if module not in done:
            path.append(module)
            for other in sorted(graph[module]):
                visit(other)
            done.add(path.pop())

    for module in graph:
        visit(module)


def names(module):
    """All that a module of ours imports."""
    return set(imported(sources('zc.zkzopeserver')[
        f'zc.zkzopeserver.{module}']))


OPTIONS = {'zc.zkzopeserver.options', 'zc.zkzopeserver.options.values'}
SHARED = 'options', 'options.values', 'redaction', 'addresses', 'errors'


# What is cheap of zope.server: rows of options, and parsers.
CHEAP = 'zope.server.settings', 'zope.server.values'


def test_what_the_recipe_shares_imports_the_standard_library_only():
    at_once = {name for module in SHARED
               for name in imported(sources('zc.zkzopeserver')[
                   f'zc.zkzopeserver.{module}'], module_level=True)
               if name.rpartition('.')[0] not in OPTIONS}
    ours = {name for name in at_once if name.startswith('zc.zkzopeserver')}
    assert ours <= {'zc.zkzopeserver.addresses.split_address',
                    'zc.zkzopeserver.errors.ConfigurationError'}
    cheap = {name for name in at_once if name.startswith(CHEAP)}
    assert {library(name) for name in at_once - ours - cheap} == {None}


def test_the_start_script_reaches_the_runner_through_the_ini():
    for module in ('start',):
        assert not any('zkzopeserver.runner' in name
                       or 'zkzopeserver.service' in name
                       for name in names(module))


def test_the_recipe_imports_of_ours_only_options_and_secrecy():
    for module, path in sources('zc.zkzopeserver').items():
        if module.startswith('zc.zkzopeserver.recipe'):
            ours = {name for name in imported(path)
                    if name.startswith('zc.zkzopeserver')
                    and not name.startswith('zc.zkzopeserver.recipe')}
            assert all(name.split('.')[2] in ('options', 'redaction')
                       for name in ours), (module, ours)


@pytest.mark.parametrize('distribution, others', [
    ('zc.zk', ('zc.zkzopeserver',)),
    ('zc.monitor', ('zc.zkzopeserver', 'zc.zk', 'zope.server')),
    ('zope.server', ('zc',)),
])
def test_between_distributions(distribution, others):
    for module, path in sources(distribution).items():
        for name in imported(path):
            assert not any(name == other or name.startswith(other + '.')
                           for other in others), (module, name)


@pytest.mark.parametrize('distribution', SOURCES)
def test_the_name_space_is_everybodys(distribution):
    assert not (SOURCES[distribution].parent / '__init__.py').exists()
