"""Values in an ini come back from PasteDeploy as they were."""
from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies

from zc.zkzopeserver.recipe import ini
from zc.zkzopeserver.recipe import loading

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
    """What PasteDeploy hands to the server for these options."""
    text = ini.render([('app:main', {'use': 'egg:x'}),
                       ('server:main', values)])
    loader = loading.load(text, '/somewhere')
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
@hypothesis.settings(max_examples=150)
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
def test_what_no_ini_can_hold_is_told(value, reason):
    assert reason in ini.unwritable('option', value)


@pytest.mark.parametrize('name', ['', ' x', '[x', '#x', ';x', 'a=b', 'a:b',
                                  'a\nb'])
def test_names_that_no_ini_can_hold_are_told(name):
    assert 'the name' in ini.unwritable(name, 'x')


def test_ordinary_names_and_values_can_be_held():
    assert ini.unwritable('set debug', 'é\n # x') == ''
