import unicodedata

import hypothesis
import hypothesis.strategies as st
import pytest
from zc.zk.printable import printable
from zc.zk.printable import printable_lines


@pytest.mark.parametrize(('text', 'shown'), [
    ('', ''),
    ('192.0.2.7:8080', '192.0.2.7:8080'),
    ('Grüße, 世界', 'Grüße, 世界'),
    ('a\\b', 'a\\b'),
    ('\x1b[2J', '\\x1b[2J'),
    ('\x9b31m', '\\x9b31m'),
    ('a\nb\r\tc', 'a\\nb\\r\\tc'),
    ('a\u2028b\u2029c\x85d', 'a\\u2028b\\u2029c\\x85d'),
    ('a\u202eb\u2066c\u200bd', 'a\\u202eb\\u2066c\\u200bd'),
    ('a\xa0b', 'a\\xa0b'),
    ('\U000e0041', '\\U000e0041'),
    ('\ud800', '\\ud800'),
    (b'a\xff\x1bb', 'a\\xff\\x1bb'),
    (bytearray(b'web'), 'web'),
    (17, '17'),
    (ValueError('no\nsuch'), 'no\\nsuch'),
    ])
def test_what_cannot_be_printed_is_escaped(text, shown):
    assert printable(text) == shown


def test_a_long_text_is_cut_before_it_is_escaped():
    assert printable('\n' * 2000) == '\\n' * 1000 + '...'
    assert printable('abcdef', 3) == 'abc...'
    assert printable('abc', 3) == 'abc'
    assert printable(b'a' * 50_000_000, 3) == 'aaa...'


def test_bytes_are_cut_at_characters_not_within_them():
    assert printable('ü'.encode() * 10, 3) == 'üüü...'
    assert printable('\U0001f600'.encode() * 3, 3) == '\U0001f600' * 3


@hypothesis.given(st.one_of(
    st.text(st.characters()), st.text(st.characters(categories=['C', 'Z'])),
    st.binary()))
def test_the_result_is_one_line_for_whatever_comes(text):
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert not any(
        unicodedata.category(sign) in ('Cc', 'Cf', 'Cs', 'Zl', 'Zp')
        for sign in shown)


@hypothesis.given(st.text(st.characters(exclude_categories=['C', 'Z'])))
def test_what_can_be_printed_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize('text, lines', [
    ('', []), ('\n', ['']), ('a\n', ['a']), ('a\tb\n\nc', ['a\tb', '', 'c']),
    ('\x1b[2J\r\n\u2028', ['\\x1b[2J\\r', '\\u2028']),
    ('x' * 5000, ['x' * 5000])])
def test_lines_stay_lines(text, lines):
    assert printable_lines(text) == lines
