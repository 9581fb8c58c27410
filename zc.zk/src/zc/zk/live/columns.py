"""Text for terminals, measured in columns.

A letter of East Asia, or an emoji, takes two columns of a terminal, and a mark
that combines with the letter before it takes none. The text is printable:
see `zc.zk.printable`, which leaves no control and no format character.
"""
from __future__ import annotations

import re
import unicodedata

#: The most lines of a terminal that one line becomes, and their indentation.
FITTED_LINES = 6
INDENT = '    '
# The narrowest terminal that lines are made for.
NARROWEST = 20

# East Asian Width: wide and full width (Unicode Standard Annex #11).
_WIDE = 'W', 'F'
# Marks that are drawn into the column of the letter before them. Vowels and
# final consonants of Korean are, too, but are letters for Unicode.
_NARROW_CATEGORIES = 'Mn', 'Me', 'Cf'
_JOINED = (range(0x1160, 0x1200), range(0xd7b0, 0xd800))

_CHUNK = re.compile('[ ]+|[^ ]+')


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    A terminal may draw fewer, as it joins some emoji.
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(sign: str) -> int:
    if sign.isascii():
        return 1
    if (unicodedata.category(sign) in _NARROW_CATEGORIES
            or any(ord(sign) in each for each in _JOINED)):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in _WIDE else 1


def begin(text: str, width: int) -> str:
    """Return the longest begin of a text with at most `width` columns."""
    if text.isascii():
        return text[:max(0, width)]
    for place, sign in enumerate(text):
        width -= _columns(sign)
        if width < 0:
            return text[:place]
    return text


def end(text: str, width: int) -> str:
    """Return the longest end of a text with at most `width` columns.

    It begins with no mark that belongs to a letter before.
    """
    place = found = len(text)
    while place and (width := width - _columns(text[place - 1])) >= 0:
        place -= 1
        if _columns(text[place]):
            found = place
    return text[found:] if place else text


def padded(text: str, width: int, right: bool = False) -> str:
    """Return a text of `width` columns or more, filled up with spaces.

    With `right` they come before it.
    """
    space = ' ' * (width - columns(text))
    return space + text if right else text + space


def shortened(text: str, width: int) -> str:
    """Return a text of at most `width` columns, with `...` in its middle.

    If `width` is below 3, the text becomes `width` dots.
    """
    if columns(text) <= width:
        return text
    rest = width - 3
    if rest <= 0:
        return '.' * width
    return f'{begin(text, rest - rest // 2)}...{end(text, rest // 2)}'


def fitted(line: str, width: int) -> list[str]:
    """Return a line as lines for a terminal of `width` columns.

    Those after the first are indented. A line that would become more than
    FITTED_LINES has `...` in its middle.
    """
    width = max(width, NARROWEST)
    room = FITTED_LINES * (width - len(INDENT))
    line = shortened(line, room)
    found = _wrapped(line, width)
    while len(found) > FITTED_LINES:
        # Words that did not fit have left their lines short.
        room -= width // 2
        found = _wrapped(shortened(line, room), width)
    return found


def _wrapped(text: str, width: int) -> list[str]:
    # A name stays with its value: no line breaks at such a space, and
    # `printable` has left none.
    for pair in ' = ', ' -> ', 'session 0x':
        text = text.replace(pair, pair.replace(' ', '\xa0'))
    found: list[str] = []
    line = ''
    for chunk in _CHUNK.findall(text):
        while columns(line) + columns(chunk) > width:
            if columns(chunk) > width - len(INDENT):
                # A word that is too long for any line.
                part = begin(chunk, width - columns(line))
                line, chunk = line + part, chunk[len(part):]
            found.append(line)
            line = INDENT
            chunk = chunk.lstrip(' ')
        line += chunk
    found.append(line)
    return [each.rstrip(' ').replace('\xa0', ' ') for each in found
            if each.strip(' ')]
