"""The options of a buildout section."""
from __future__ import annotations

import pytest
from zope.server.values import InvalidValue

from zc.zkzopeserver.recipe import section
from zc.zkzopeserver.recipe import values


@pytest.mark.parametrize('text, found', [
    ('', {}),
    ('a = 1', {'a': '1'}),
    ('a = 1\nb=2', {'a': '1', 'b': '2'}),
    ('a = x = y', {'a': 'x = y'}),
    ('a =', {'a': ''}),
    ('# no\n; no\na = 1 # yes', {'a': '1 # yes'}),
    ('a = 1\n  two\n    three', {'a': '1\ntwo\n  three'}),
    ('a =\n  two\n\n  # three\n\nb = 2', {'a': 'two\n\n# three', 'b': '2'}),
    ('a = 1\n\n\nb = 2\n\n', {'a': '1', 'b': '2'}),
    ('a: b = c', {'a: b': 'c'}),
])
def test_pairs(text, found):
    assert values.pairs(text) == found


@pytest.mark.parametrize('text', ['word', '= value', 'a = 1\nword',
                                  'a = 1\na = 2', '  x\na = 1'])
def test_pairs_refuse(text):
    with pytest.raises(InvalidValue):
        values.pairs(text)


@pytest.mark.parametrize('text, found', [
    ('egg:a', [('egg:a', '')]),
    ('egg:a#x one\negg:b\ntwo', [('egg:a#x', 'one'), ('egg:b', ''),
                                  ('', 'two')]),
    ('egg:a egg:b', [('egg:a', ''), ('egg:b', '')]),
    ('call:a:b c\n\nd e', [('call:a:b', 'c'), ('', 'd'), ('', 'e')]),
])
def test_filters(text, found):
    assert values.filters(text) == found


@pytest.mark.parametrize('text, found', [
    ('A b', {'A': 'b'}), ('A=b c', {'A': 'b c'}), ('A = b=c', {'A': 'b=c'}),
    ('A=', {'A': ''}), ('A', {'A': ''}), ('# no\n\nA b\n_B2 c',
                                          {'A': 'b', '_B2': 'c'}),
])
def test_environment(text, found):
    assert values.environment(text) == found


@pytest.mark.parametrize('text', ['egg:dist', 'egg:my.dist#name', ' egg:a#b ',
                                  'call:module:factory', 'call:a.b:c.d'])
def test_factories(text):
    assert values.factory(text) == text.strip()


@pytest.mark.parametrize('text', ['', 'dist', 'egg:', 'egg:a b', 'call:a',
                                  'egg:a#', 'config:x.ini', 'egg:a#b#c'])
def test_factories_refuse(text):
    with pytest.raises(InvalidValue,
                       match='egg:DIST#NAME or call:MODULE:FACTORY'):
        values.factory(text)


@pytest.mark.parametrize('name, meant', [
    ('zookeper', 'zookeeper'), ('session-timeout', 'session_timeout'),
    ('Path', 'path'), ('pth', 'path'), ('app_options', 'app-options'),
    ('egs', 'eggs'), ('monitor-server', 'monitor_server'),
])
def test_near_misses_are_problems(name, meant):
    [problem] = section.misspelled(['path', name], [])
    assert repr(name) in problem
    assert f'did you mean {meant!r}?' in problem


@pytest.mark.parametrize('name', ['log-path', 'my-port', 'x', 'color'])
def test_other_unknown_names_are_allowed(name):
    assert section.misspelled([name], []) == []
