"""Settings: declared once, refused with a sentence, cheap to import."""
from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from typing import get_type_hints

import pytest
import zope.server
from hypothesis import given
from hypothesis import strategies as st
from zope.server import Server
from zope.server import Settings
from zope.server import SettingsError
from zope.server import settings
from zope.server.options import REQUIRED
from zope.server.options import Option
from zope.server.options import parse_texts
from zope.server.settings import LISTENING
from zope.server.settings import ROWS
from zope.server.values import InvalidValue
from zope.server.values import format_size
from zope.server.values import size
from zope.server.values import token


def test_every_field_has_its_row() -> None:
    fields = dataclasses.fields(Settings)
    assert [field.name for field in fields] == list(ROWS)
    for field in fields:
        row = ROWS[field.name]
        assert row.name == field.name
        assert row.default == field.default == getattr(Settings(), row.name)
        assert row.parse is field.metadata['parse']
        assert row.meaning and '\n' not in row.meaning


def test_every_default_has_the_type_of_its_field() -> None:
    hints = get_type_hints(Settings)
    for name, row in ROWS.items():
        assert type(row.default) is hints[name], name


@pytest.mark.parametrize('row', [
    row for row in settings.rows() if row.default_text not in ('none', "''")],
    ids=lambda row: row.name)
def test_a_default_is_what_its_text_stands_for(row: Option) -> None:
    value = row.parse(row.default_text)
    assert value == row.default
    assert type(value) is type(row.default)


def test_the_arguments_of_a_server_have_the_defaults_of_their_rows() -> None:
    arguments = inspect.signature(Server).parameters
    defaults = {name: parameter.default
                for name, parameter in arguments.items()
                if name not in ('application', 'measure', 'settings')}
    assert defaults == {name: row.default for name, row in LISTENING.items()
                        if name not in ('graceful_timeout',
                                            'switch_interval')}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Settings(), 'threads', 2)  # noqa: B010 (mypy refuses it, too)


@pytest.mark.parametrize('name, value, sentence', [
    ('threads', 0, 'is not a whole number from 1 to 1000'),
    ('threads', 1001, 'is not a whole number from 1 to 1000'),
    ('threads', 1.5, 'is not a whole number from 1 to 1000'),
    ('threads', '4', 'is not of type int'),
    ('threads', None, 'is not a whole number from 1 to 1000'),
    ('threads', True, 'is not a whole number from 1 to 1000'),
    ('name', 'a\r\nb', 'is not one line of printable ASCII text'),
    ('name', ' a', 'is not of type str'),
    ('name', 5, 'is not of type str'),
    ('multiprocess', 'yes', 'is not of type bool'),
    ('multiprocess', 2, 'is not true or false'),
    ('body_timeout', -1.0, 'is not seconds from 0.1 to 86400'),
    ('body_timeout', float('nan'), 'is not seconds from 0.1 to 86400'),
    ('body_timeout', float('inf'), 'is not seconds from 0.1 to 86400'),
    ('body_memory', 0, 'is not a size of at least one byte, such as 65536,'
     ' 64 KiB or 1 GiB'),
    ('body_memory', '1 GiB', 'is not of type int'),
])
def test_a_wrong_value_is_refused_with_one_sentence(
        name: str, value: object, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(**{name: value})
    assert str(caught.value) == f'setting {name!r}: {value!r} {sentence}'
    assert isinstance(caught.value, ValueError)
    assert caught.value.exit_status == 2


def test_all_wrong_values_are_reported_together() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(threads=0, minimum_rate=0, max_request_fields=3)
    assert [problem.split(':')[0] for problem in caught.value.problems] == [
        "setting 'threads'", "setting 'minimum_rate'"]


@pytest.mark.parametrize('name, value', [
    ('threads', 1000), ('multiprocess', 1), ('body_timeout', 5),
    ('body_timeout', 0.1), ('body_timeout', 0.1 + 0.2),
    ('linger_timeout', 0), ('linger_timeout', 1e-05), ('body_memory', 1),
])
def test_a_right_value_stays_as_it_is(name: str, value: object) -> None:
    assert getattr(Settings(**{name: value}), name) is value


@given(st.floats(0.1, 86_400))
def test_any_time_in_range_is_allowed(value: float) -> None:
    assert ROWS['body_timeout'].problem(value) is None


@given(st.integers(1, 2 ** 45))
def test_a_size_is_what_its_text_stands_for(value: int) -> None:
    assert size(format_size(value)) == value


def test_a_server_refuses_what_its_settings_refuse() -> None:
    with pytest.raises(SettingsError, match="setting 'threads': 0 is not"):
        Server(lambda environ, start_response: [], threads=0)


# Options of an ini.

REQUIRED_NAME = {'name': Option('name', token, REQUIRED, 'what it is')}


def test_texts_are_parsed_by_their_rows() -> None:
    assert parse_texts(ROWS, {'threads': ' 4 ', 'body_memory': '1 GiB',
                              'multiprocess': 'Yes'}) == (
        {'threads': 4, 'body_memory': 2 ** 30, 'multiprocess': True}, [])


def test_an_empty_text_stands_for_an_empty_default() -> None:
    assert parse_texts(LISTENING, {'host': ' '}) == ({}, [])


def test_all_problems_of_texts_come_together() -> None:
    values, problems = parse_texts(
        ROWS, {'treads': '4', 'body_timeout': 'soon', 'name': 'web'})
    assert values == {'name': 'web'}
    assert problems == [
        "unknown option 'treads' (did you mean 'threads'?)",
        "option 'body_timeout': 'soon' is not seconds from 0.1 to 86400"]


def test_an_option_that_is_required() -> None:
    values, problems = parse_texts(REQUIRED_NAME, {'zzz': ''})
    assert problems == ["unknown option 'zzz' (known are name)",
                        "option 'name' is required: what it is"]
    assert REQUIRED_NAME['name'].default_text == 'required'


def test_the_part_that_is_wrong_is_quoted() -> None:
    def parse(text: str) -> str:
        raise InvalidValue('a word', text.split()[0])

    table = {'words': Option('words', parse, None, 'words')}
    assert parse_texts(table, {'words': '1 a'})[1] == [
        "option 'words': '1' is not a word"]


@given(st.sampled_from(settings.rows()), st.text(max_size=30))
def test_any_text_is_parsed_or_refused_with_a_line(
        row: Option, text: str) -> None:
    values, problems = parse_texts({row.name: row}, {row.name: text})
    assert problems or row.name in values or not text.strip()
    assert all('\n' not in problem for problem in problems)


def test_lines_say_where() -> None:
    error = SettingsError(['this', 'that'], 'server section of web.ini')
    assert str(error).splitlines() == [
        'server section of web.ini: this', 'server section of web.ini: that']


# Buildout imports the settings; it serves nothing.

def test_importing_the_settings_imports_no_server() -> None:
    code = ('import sys, zope.server.settings\n'
            'print(*(name for name in sys.modules'
            ' if name.startswith(("zope.server.", "httptools",'
            ' "logging", "threading", "asyncio", "http"))))')
    done = subprocess.run([sys.executable, '-c', code], text=True,
                          stdout=subprocess.PIPE, check=True)
    # A start-up hook, as of coverage, may import what it needs.
    loaded = {name for name in done.stdout.split()
              if name.startswith(('zope', 'httptools', 'asyncio'))}
    assert loaded == {'zope.server.errors', 'zope.server.options',
                      'zope.server.settings',
                      'zope.server.values'}


# The package's public face.

def test_every_public_name_is_there() -> None:
    for name in zope.server.__all__:
        assert getattr(zope.server, name).__name__ == name


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        getattr(zope.server, 'nonesuch')  # noqa: B009
