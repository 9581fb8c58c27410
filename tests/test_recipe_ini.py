"""PasteDeploy reads the values of an ini as they were written.

An ini that it could not read is refused before a file is written.
"""
from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies

from zc.zkzopeserver.recipe import ini

SERVER = '[server:main]\nuse = egg:zc.zkzopeserver\n'
APP = '[app:main]\nuse = egg:x\n'
AWKWARD = strategies.sampled_from([
    '', ' ', '\t', '#', ';', '%', '%%', '%(here)s', '%(', '$', '$$(message)s',
    '[app:main]', '=', ':', 'use = egg:x', '\n', '\n\n', '"', "'", '\\',
    'a', 'é', '\u2028', '\x85', '\x0b', '\x1c', '\x00', '%(__empty__)s',
    '\ufeff', 'set x = 1'])
VALUES = strategies.one_of(
    strategies.lists(AWKWARD, max_size=8).map(''.join),
    strategies.text(strategies.characters(exclude_categories=['Cs'],
                                          exclude_characters='\r'),
                    max_size=20))


def read_back(values: dict[str, str]) -> dict[str, str]:
    """Return what PasteDeploy passes to the server for these options."""
    text = ini.render([('app:main', {'use': 'egg:x'}),
                       ('server:main', values)])
    loader = ini.load(text, '/somewhere')
    # `call:` of anything: the factory is not called.
    loader.parser.set('server:main', 'use', 'call:builtins:dict')
    return loader.server_context().local_conf


@pytest.mark.parametrize('value', [
    'plain', '', 'one\ntwo', '\nsecond only', 'a\n\nb', 'trailing\n\n', '\n',
    'x\n  indented\n    more', 'x\n# comment\n; comment', '# first', 'a # b',
    'a ; b', '100%', '%(here)s', '%%', 'x\n[section]\nkey = value',
    '  leading', 'trailing  ', 'x\n   \ny', 'x\ty', '\ttab', 'ü\nö',
    'format $$(message)s', '%(__empty__)s',
])
def test_a_value_comes_back_as_written(value):
    assert read_back({'option': value}) == {'option': value}


@hypothesis.given(VALUES, VALUES)
def test_any_two_values_come_back_as_written(one, two):
    assert read_back({'one': one, 'two': two}) == {'one': one, 'two': two}


def test_a_simple_ini_stays_simple():
    assert ini.render([('server:main', {'a': 'one', 'b': 'two\n\nthree',
                                        'c': ''})]) == (
        '[server:main]\na = one\nb = two\n\n    three\nc =\n')


def test_verbatim_text_stands_between_the_defaults_and_the_server():
    text = ini.render([('DEFAULT', {'x': ' y'}), ('server:main', {})],
                      '[app:main]\nuse = egg:x')
    assert [line for line in text.splitlines() if line.startswith('[')] == [
        '[DEFAULT]', '[app:main]', '[server:main]']


@pytest.mark.parametrize('value, reason', [
    ('a\rb', 'carriage return'),
    ('\ud800', 'not Unicode'),
])
def test_a_value_that_no_ini_can_hold_is_told(value, reason):
    assert reason in ini.unwritable('option', value)


@pytest.mark.parametrize('name', ['', ' x', '[x', '#x', ';x', 'a=b', 'a:b',
                                  'a\nb'])
def test_names_that_no_ini_can_hold_are_told(name):
    assert 'the name' in ini.unwritable(name, 'x')


def test_ordinary_names_and_values_can_be_held():
    assert ini.unwritable('set debug', 'é\n # x') == ''


def problems(text):
    return ini.problems(text, '/somewhere', [])


@pytest.mark.parametrize('text', [
    APP + SERVER,
    '[app:x]\nuse = egg:x\n[pipeline:main]\npipeline = egg:y x\n' + SERVER,
    '[composite:main]\nuse = egg:Paste#urlmap\n/ = home\n' + SERVER,
    '[app:main]\nuse = egg:x\nroot = %(here)s/x\n' + SERVER,
    '[filter-app:main]\nuse = egg:f\nnext = x\n[app:x]\nuse = egg:x\n'
    + SERVER,
])
def test_an_ini_that_paste_can_read_has_no_problems(text):
    assert problems(text) == []


@pytest.mark.parametrize('text, words', [
    (SERVER, 'no main application'),
    (APP, 'no main server'),
    (APP + APP + SERVER, 'already exists'),
    ('words\n' + APP, 'cannot be read'),
    ('[app:main]\nuse = egg:x\na = %(nothing)s\n' + SERVER, 'nothing'),
    ('[app:main]\nuse = egg:x\na = 100%\n' + SERVER, "'%' must be followed"),
    ('[pipeline:main]\npipeline = f x\n[app:x]\nuse = egg:x\n' + SERVER,
     "[pipeline:main] refers to 'f'"),
    ('[pipeline:main]\npipeline = egg:f x\n' + SERVER, '[app:x]'),
    ('[pipeline:main]\n' + SERVER, '[pipeline:main]'),
    ('[app:main]\nuse = egg:x\nfilter-with = f\n' + SERVER, '[filter:f]'),
])
def test_an_ini_that_paste_cannot_read_is_told_in_a_line(text, words):
    [problem] = problems(text)
    assert words in problem
    assert '\n' not in problem
    assert '/tmp' not in problem


def test_a_folder_with_a_percent_sign_is_told():
    problem, = ini.problems(APP + SERVER, '/srv/100%', [])
    assert problem.startswith('the ini cannot be read: ')
    assert problem.endswith('(PasteDeploy reads no ini with a % in its path)')


def test_a_value_that_paste_would_ignore_is_told():
    [problem] = ini.problems(
        '[DEFAULT]\nx = 1\n' + APP + 'x = 2\n' + SERVER, '/somewhere',
        [('app:main', {'x': '2'})])
    assert "option 'x' of [app:main]" in problem


def test_a_value_that_does_not_come_back_is_told():
    [problem] = ini.problems(APP + 'x = 2\n' + SERVER, '/somewhere',
                                 [('app:main', {'x': '3'})])
    assert "option 'x' of [app:main]" in problem
