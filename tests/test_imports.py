"""Imports, read from the sources of the four distributions.

They go down only, one module each imports an optional library, and what
docstrings say of imports is true.
"""
import re

import pytest
from zkzopeserver_support.sources import ALL
from zkzopeserver_support.sources import SOURCES
from zkzopeserver_support.sources import imported
from zkzopeserver_support.sources import inner_imports
from zkzopeserver_support.sources import library
from zkzopeserver_support.sources import modules
from zkzopeserver_support.sources import sentences


@pytest.mark.parametrize('distribution', SOURCES)
def test_no_cycles(distribution):
    graph = inner_imports(distribution)
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


def importers(name, distribution='zc.zkzopeserver'):
    """The modules of a distribution that import a library."""
    return {module for module, path in modules(distribution).items()
            if any(library(each) == name for each in imported(path))}


# For pip users who do without an extra, the rest has to work.
@pytest.mark.parametrize('name, module', [
    ('ZConfig', 'logconfig'), ('zdaemon', 'cli.zdaemon'),
    ('zc.monitor', 'monitor'), ('setproctitle', 'workers.protocol'),
    ('hupper', 'cli.reloading'),
])
def test_an_optional_library_is_imported_in_one_place(name, module):
    assert importers(name) == {f'zc.zkzopeserver.{module}'}
    at_once = imported(modules('zc.zkzopeserver')[f'zc.zkzopeserver.{module}'],
                       at_once=True)
    assert name not in map(library, at_once)


# What docstrings and comments say of imports: "Only this module imports X.",
# of its distribution, and "only `a` imports X, `b` Y", of a package.
ONLY = re.compile(r'\b[Oo]nly (this module|`+[\w.]+`+) imports ')
PAIR = re.compile(r'(this module|`+[\w.]+`+)(?: imports)? `*([\w.]*\w)')
ALONE = re.compile(r'imports the standard library alone$')
NAMES = {'PasteDeploy': 'paste.deploy'}


def claims():
    """(module, sentence) for each that says what is imported in one place."""
    return [(module, sentence) for module, path in ALL.items()
            # Taking a file apart takes long, and is needed for few.
            if 'imports' in path.read_text(encoding='utf-8')
            for sentence in sentences(path)
            if ONLY.search(sentence) or ALONE.search(sentence)]


@pytest.mark.parametrize('module, sentence', claims())
def test_what_docstrings_say_of_imports_is_true(module, sentence):
    if ALONE.search(sentence):
        assert set(map(library, imported(ALL[module]))) == {None}
        return
    pairs = PAIR.findall(sentence, ONLY.search(sentence).start())
    assert pairs
    for where, name in pairs:
        name = NAMES.get(name, name)
        if where == 'this module':
            place, = (each for each in SOURCES
                      if f'{module}.'.startswith(f'{each}.'))
            expected = module
        else:
            place, expected = module, f'{module}.{where.strip("`")}'
        assert {each for each, path in ALL.items()
                if f'{each}.'.startswith(f'{place}.')
                and any(f'{found}.'.startswith(f'{name}.')
                        for found in imported(path))} == {expected}


def names(module, at_once=False):
    """All that a module of zc.zkzopeserver imports."""
    return imported(
        modules('zc.zkzopeserver')[f'zc.zkzopeserver.{module}'], at_once)


OPTIONS = {'zc.zkzopeserver.options', 'zc.zkzopeserver.options.values'}
SHARED = 'options', 'options.values', 'addresses', 'errors', 'directories'


# What is cheap of zope.server: rows of options, and parsers.
CHEAP = ('zope.server.options', 'zope.server.settings',
         'zope.server.values')


def test_what_the_recipe_shares_imports_the_standard_library_only():
    at_once = {name for module in SHARED
               for name in names(module, at_once=True)
               if name.rpartition('.')[0] not in OPTIONS}
    ours = {name for name in at_once if name.startswith('zc.zkzopeserver')}
    assert ours <= {'zc.zkzopeserver.addresses.split_address',
                    'zc.zkzopeserver.errors.ConfigurationError'}
    cheap = {name for name in at_once if name.startswith(CHEAP)}
    assert {library(name) for name in at_once - ours - cheap} == {None}


def test_the_start_script_reaches_the_runner_through_the_ini():
    for module, path in modules('zc.zkzopeserver').items():
        if module.split('.')[2:][:1] in (['start'], ['cli']):
            assert not any('zkzopeserver.runner' in name
                           or 'zkzopeserver.service' in name
                           for name in imported(path)), module


def test_the_recipe_imports_of_ours_only_what_needs_no_server():
    for module, path in modules('zc.zkzopeserver').items():
        if module.startswith('zc.zkzopeserver.recipe'):
            ours = {name for name in imported(path)
                    if name.startswith('zc.zkzopeserver')
                    and not name.startswith('zc.zkzopeserver.recipe')}
            assert all(name.split('.')[2] in ('options', 'directories',
                                              'locks')
                       for name in ours), (module, ours)


@pytest.mark.parametrize('distribution, others', [
    ('zc.zk', ('zc.zkzopeserver',)),
    ('zc.monitor', ('zc.zkzopeserver', 'zc.zk', 'zope.server')),
    ('zope.server', ('zc',)),
])
def test_between_distributions(distribution, others):
    for module, path in modules(distribution).items():
        for name in imported(path):
            assert not any(name == other or name.startswith(other + '.')
                           for other in others), (module, name)


@pytest.mark.parametrize('distribution', SOURCES)
def test_the_name_space_is_everybodys(distribution):
    assert not (SOURCES[distribution].parent / '__init__.py').exists()
