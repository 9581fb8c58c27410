"""Read property values: Python literals and JSON's true, false and null.

Nothing is evaluated. The reader goes token by token, without recursion. No
text can therefore execute code, exhaust the stack or take more memory than a
few times its own size. The result is what JSON can hold: tuples become lists,
and the keys of mappings become strings, by the rules of `json`.

Literals of Python 2 are read as well: ``u'...'`` strings and ``1L`` integers.
A comment may follow a value.
"""
import re
from collections.abc import Callable
from collections.abc import Iterator

from zc.zk.encoding import MAX_NESTING
from zc.zk.tree.strings import STRING
from zc.zk.tree.strings import LiteralError
from zc.zk.tree.strings import join_surrogates
from zc.zk.tree.strings import read_bytes
from zc.zk.tree.strings import read_python_2_bytes
from zc.zk.tree.strings import read_string
from zc.zk.tree.strings import shorten

_TOKEN = re.compile(
    r'\s*(?:(?P<string>' + STRING + r')'
    r'|(?P<number>[-+]?(?:\d[\w.]*(?:(?<=[\d.][eE])[-+]\d+)?'
    r'|(?<![\w.])\.\d\w*(?:(?<=\d[eE])[-+]\d+)?))'
    r'|(?P<word>[-+]?[A-Za-z_]\w*)'
    r'|(?P<mark>[][(){}:,])'
    r'|(?P<end>$|#)'
    r'|(?P<other>\S))', re.ASCII)

_WORDS = {
    'True': True, 'true': True, 'False': False, 'false': False,
    'None': None, 'null': None,
    'nan': float('nan'), 'NaN': float('nan'),
    '-nan': float('nan'), '-NaN': float('nan'),
    'inf': float('inf'), 'Infinity': float('inf'),
    '-inf': float('-inf'), '-Infinity': float('-inf'),
}
_CLOSING = {'[': ']', '(': ')', '{': '}'}

_is_one_string = re.compile(STRING, re.DOTALL).fullmatch

# Most values are one string or one integer: read without a tokeniser.
_PLAIN = re.compile(
    r"""u?'([^'\\\n]*)'$|u?"([^"\\\n]*)"$|(-?(?:0|[1-9][0-9]{0,17}))$"""
).match


def read_literal(text: str) -> object:
    """Return the value that is written as `text`.

    Values with commas between them are a list. Raise LiteralError for
    anything but strings, numbers, lists, tuples, mappings, ``True``,
    ``False``, ``None``, ``true``, ``false`` and ``null``.
    """
    plain = _PLAIN(text)
    if plain is not None:
        string, other, number = plain.groups()
        if number is not None:
            return int(number)
        value = other if string is None else string
        return value if value.isascii() else join_surrogates(value)
    return _read(text)


def read_string_value(text: str) -> object:
    r"""Read the literal of data that is not JSON.

    There, Python 2 wrote the bytes of the data: ``'caf\xc3\xa9'``. Bytes
    that are not UTF-8 become lone surrogates, as with the error handler
    ``surrogateescape``. Any other literal is read by `read_literal`.
    """
    data = read_python_2_bytes(text)
    if data is None and _is_one_string(text):
        data = read_bytes(text)
    if data is None:
        return read_literal(text)
    return data.decode('utf-8', 'surrogateescape')


def _read(text: str) -> object:
    # Each open container: its opening mark and its items so far. The items
    # of a mapping are its keys and values in turn. The outermost container
    # is `text` itself.
    stack: list[tuple[str, list]] = [('', [])]
    expected = 'value'
    is_single = True
    for kind, parts in _tokens(text):
        token = parts[0]
        opening, items = stack[-1]
        if expected != 'separator' and kind in _READERS:
            items.append(_READERS[kind](parts))
            expected = 'separator'
        elif expected != 'separator' and token in _CLOSING:
            if len(stack) > MAX_NESTING:
                raise LiteralError(
                    f'nested more than {MAX_NESTING} levels deep')
            stack.append((token, []))
            expected = 'value or end'
        elif kind == 'end' and not opening and items:
            return items[0] if is_single else items
        elif (token == _CLOSING.get(opening)
              and expected != 'value' and _is_complete(opening, items)):
            stack.pop()
            stack[-1][1].append(
                _build(opening, items, expected == 'value or end'))
            expected = 'separator'
        elif expected == 'separator' and token == ',' and (
                _is_complete(opening, items)):
            is_single = is_single and bool(opening)
            expected = 'value or end'
        elif expected == 'separator' and token == ':' and (
                opening == '{' and len(items) % 2 == 1):
            items[-1] = _to_key(items[-1])
            expected = 'value'
        else:
            raise LiteralError(_unexpected(kind, token))
    raise AssertionError('the last token is always the end')


def _tokens(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield pairs: the kind of a token, and its text as a list of one text.

    Adjacent strings are one token, with a text for each.
    """
    position = 0
    strings: list[str] = []
    while True:
        match = _TOKEN.match(text, position)
        assert match is not None, 'one alternative of _TOKEN always matches'
        position = match.end()
        kind = match.lastgroup or 'end'
        if kind == 'string':
            strings.append(match[kind])
            continue
        if strings:
            yield 'string', strings
            strings = []
        yield kind, [match[kind]]
        if kind == 'end':
            return


def _unexpected(kind: str, token: str) -> str:
    if kind == 'end':
        return 'it ends too early'
    if kind == 'word':
        return f'{shorten(token, 30)} is not a literal'
    return f'unexpected {shorten(token, 30)}'


def _is_complete(opening: str, items: list) -> bool:
    return opening != '{' or len(items) % 2 == 0


def _build(opening: str, items: list, ends_with_comma: bool) -> object:
    if opening == '{':
        return dict(zip(items[::2], items[1::2], strict=True))
    if opening == '(' and len(items) == 1 and not ends_with_comma:
        return items[0]
    return items


def _to_key(value: object) -> str:
    """Return the key that `json` writes for `value`."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: 'null', True: 'true', False: 'false'}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    raise LiteralError('a list or a mapping cannot be a key')


def _read_word(parts: list[str]) -> object:
    try:
        return _WORDS[parts[0]]
    except KeyError:
        raise LiteralError(_unexpected('word', parts[0])) from None


def _read_number(parts: list[str]) -> object:
    token = parts[0]
    try:
        if token[-1] in 'lL' and token[-2:-1].isalnum():
            return int(token[:-1], 0)
        try:
            return int(token, 0)
        except ValueError:
            if not set(token) & set('.eE'):
                # Such as 010, which was octal in Python 2.
                raise
            return float(token)
    except ValueError:
        raise LiteralError(f'bad number {shorten(token, 30)}') from None


_READERS: dict[str, Callable[[list[str]], object]] = {
    'string': read_string, 'number': _read_number, 'word': _read_word}
