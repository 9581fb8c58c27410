"""Text for terminals: as wide as they are, whatever letters it has."""
import string

import hypothesis
import pytest
from hypothesis import strategies
from zc.zk.live import columns
from zc.zk.printable import printable

FACTS = ("2023-11-14 22:15:00.500 /cms/providers/192.0.2.7:41231 added"
         " (session 0x661667e340c0f, metrics = '192.0.2.7:9101',"
         " monitor = '127.0.0.1:9000', pid = 9093)")


def test_a_line_that_fits_stays():
    assert columns.fitted(FACTS, len(FACTS)) == [FACTS]


def test_names_stay_with_their_values():
    assert columns.fitted(FACTS, 80) == [
        '2023-11-14 22:15:00.500 /cms/providers/192.0.2.7:41231 added',
        "    (session 0x661667e340c0f, metrics = '192.0.2.7:9101',",
        "    monitor = '127.0.0.1:9000', pid = 9093)"]
    assert columns.fitted(FACTS, 40) == [
        '2023-11-14 22:15:00.500',
        '    /cms/providers/192.0.2.7:41231 added',
        '    (session 0x661667e340c0f,',
        "    metrics = '192.0.2.7:9101',",
        "    monitor = '127.0.0.1:9000',",
        '    pid = 9093)']


def test_of_a_long_line_the_middle_is_left_out():
    for value in 'y' * 9000, 'lorem ipsum ' * 800:
        line = f"2023-11-14 22:15:00.500 /cms add property x = '{value}!'"
        found = columns.fitted(line, 80)
        assert len(found) <= columns.FITTED_LINES
        assert found[0].startswith('2023-11-14 22:15:00.500 /cms add')
        assert '...' in ''.join(found)
        assert found[-1].endswith("!'")


# The columns of some signs, as the wcwidth of glibc has them: letters of two
# columns, wide forms, emoji, narrow forms, and marks of none.
WIDTHS = {'a': 1, ' ': 1, '=': 1, '.': 1, '\u00e9': 1, '\u05d0': 1,
          '\uff71': 1, '\u4e2d': 2, '\uac00': 2, '\uff21': 2,
          '\U0001f600': 2, '\u0301': 0, '\u20dd': 0, '\u0e34': 0,
          '\u1161': 0, '\ufe0f': 0}

texts = strategies.text(alphabet=''.join(WIDTHS), max_size=400)


@hypothesis.given(texts)
def test_columns(text):
    assert columns.columns(text) == sum(map(WIDTHS.get, text))


@hypothesis.given(
    strategies.text(alphabet=string.printable[:95] + ''.join(WIDTHS),
                    max_size=3000).map(printable), strategies.integers(0, 300))
def test_lines_never_are_wider_than_the_terminal(line, width):
    found = columns.fitted(line, width)
    assert len(found) <= columns.FITTED_LINES
    assert all(columns.columns(each) <= max(width, columns.NARROWEST)
               for each in found)
    if columns.columns(line) <= width / 2:
        assert ''.join(found).split() == line.split()


def test_wide_letters_take_two_columns():
    line = '2023-11-14 22:15:00.500 /cms add property x = ' + '\u4e2d' * 40
    assert columns.fitted(line, 60) == [
        '2023-11-14 22:15:00.500 /cms add property '
        'x = ' + '\u4e2d' * 7, '    ' + '\u4e2d' * 28,
        '    ' + '\u4e2d' * 5]


def test_marks_stay_with_their_letters():
    letter = 'e\u0301\u0323'
    assert columns.begin(letter * 4, 2) == letter * 2
    assert columns.end(letter * 4, 2) == letter * 2
    assert columns.shortened(letter * 9, 7) == f'{letter * 2}...{letter * 2}'
    # One that does not fit as a whole is left out.
    assert columns.begin('\u4e2d' * 4, 3) == '\u4e2d'
    assert columns.end('\u4e2d' * 4, 3) == '\u4e2d'


@pytest.mark.parametrize('right', [False, True])
def test_padded(right):
    assert columns.padded('\u4e2dx', 5, right) == (
        '  \u4e2dx' if right else '\u4e2dx  ')
    assert columns.padded('abc', 2, right) == 'abc'


@hypothesis.given(texts, strategies.integers(0, 60))
def test_shortened(given, width):
    found = columns.shortened(given, width)
    assert columns.columns(found) <= width
    assert (found == given) == (columns.columns(given) <= width) or (
        '...' in given)
    assert given.startswith(columns.begin(given, width))
    assert given.endswith(columns.end(given, width))
    assert columns.columns(columns.end(given, width)) <= width
