"""Property values as text: Python literals and JSON's three words.

Nothing is evaluated. A value is read token by token, without recursion, so
that no text can execute anything, exhaust the stack or take more memory than
a few times its own size. What comes out is what JSON can hold: tuples become
lists, and the keys of mappings become strings, by the rules of `json`.

Text written by Python 2 is read as well: ``u'...'`` strings and ``1L``
integers. A comment may follow a value.
"""
import re
import unicodedata
from collections.abc import Iterator

#: How deeply lists and mappings may be nested in a value.
MAX_NESTING = 100

#: A string literal of one line; without its closing quote when that lacks,
#: so that a search never has to start again behind the opening one.
STRING = (r"""[bBuUrR]{0,2}(?:'(?:[^'\\\n]|\\.)*(?:'|$)"""
          r'''|"(?:[^"\\\n]|\\.)*(?:"|$))''')

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

_PREFIXES = frozenset({'', 'b', 'u', 'r', 'br', 'rb', 'ur'})
_is_one_string = re.compile(STRING, re.DOTALL).fullmatch

_ESCAPE = re.compile(
    r'\\(?:([\\\'"abfnrtv])|x([0-9a-fA-F]{2})|([0-7]{1,3})'
    r'|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^}]+)\}|[xuUN])')
_LETTERS = {
    '\\': '\\', "'": "'", '"': '"', 'a': '\a', 'b': '\b', 'f': '\f',
    'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
}
_SURROGATES = re.compile('[\ud800-\udfff]')

# What most values are; read without looking at each token.
_PLAIN = re.compile(
    r"""u?'([^'\\\n]*)'$|u?"([^"\\\n]*)"$|(-?(?:0|[1-9][0-9]{0,17}))$"""
).match

_BYTES_OF_PYTHON_2 = re.compile(
    r"""(?:'(?:[^'\\]|\\[\\'nrt]|\\x[0-9a-f]{2})*'"""
    r'''|"(?:[^"\\]|\\[\\"nrt]|\\x[0-9a-f]{2})*")$''').match
_HIGH_ESCAPE = re.compile(r'(\\\\)|\\x([89a-f][0-9a-f])')


class LiteralError(ValueError):
    """The text is not a literal; the message says what is wrong with it."""


def read_literal(text: str) -> object:
    """Return the value that is written as `text`.

    Raises LiteralError for anything but strings, numbers, lists, tuples,
    mappings, ``True``, ``False``, ``None``, ``true``, ``false`` and ``null``.
    Values with commas between them are a list.
    """
    plain = _PLAIN(text)
    if plain is not None:
        string, other, number = plain.groups()
        if number is not None:
            return int(number)
        value = other if string is None else string
        return value if value.isascii() else _joined(value)
    return _read(text)


def read_string_value(text: str) -> object:
    """As `read_literal`, for the data of a node that is not JSON.

    There, Python 2 wrote the bytes of the data: ``'caf\\xc3\\xa9'``. Bytes
    that are not UTF-8 become lone surrogates, as with ``surrogateescape``.
    """
    if (text.isascii() and '\\x' in text and _BYTES_OF_PYTHON_2(text)
            and any(high for _, high in _HIGH_ESCAPE.findall(text))):
        text = 'b' + text
    if _is_one_string(text):
        prefix, content = _split_string(text)
        if 'b' in prefix:
            return _bytes(prefix, content).decode('utf-8', 'surrogateescape')
    return read_literal(text)


def write_string_value(value: str) -> str:
    """Return a literal that `read_string_value` reads as `value`."""
    if _SURROGATES.search(value):
        try:
            data = value.encode('utf-8', 'surrogateescape')
        except UnicodeEncodeError:
            return repr(value)
        if data.decode('utf-8', 'surrogateescape') == value:
            return repr(data)
    # Not \xNN, which would be a byte of Python 2.
    return _HIGH_ESCAPE.sub(
        lambda match: match[1] or '\\u00' + match[2], repr(value))


def shortened(text: str, width: int = 60) -> str:
    """Return `text` quoted for a message, its end cut off when it is long."""
    return repr(text if len(text) <= width else text[:width - 3] + '...')


def _read(text: str) -> object:
    # Each open container: its opening mark, and what it holds so far, keys
    # and values in turn for a mapping. The outermost one is `text` itself.
    stack: list[tuple[str, list]] = [('', [])]
    expected = 'value'
    is_single = True
    for kind, token in _tokens(text):
        opening, items = stack[-1]
        if expected != 'separator' and kind in _READERS:
            items.append(_READERS[kind](token))
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
                _built(opening, items, expected == 'value or end'))
            expected = 'separator'
        elif expected == 'separator' and token == ',' and (
                _is_complete(opening, items)):
            is_single = is_single and bool(opening)
            expected = 'value or end'
        elif expected == 'separator' and token == ':' and (
                opening == '{' and len(items) % 2 == 1):
            items[-1] = _key(items[-1])
            expected = 'value'
        else:
            raise LiteralError(_unexpected(kind, token))
    raise AssertionError('the last token is always the end')


def _tokens(text: str) -> Iterator[tuple[str, str | list[str]]]:
    """The tokens with their kinds; strings that follow each other as one."""
    position = 0
    strings: list[str] = []
    while True:
        match = _TOKEN.match(text, position)
        position = match.end()
        kind = match.lastgroup
        if kind == 'string':
            strings.append(match[kind])
            continue
        if strings:
            yield 'string', strings
            strings = []
        yield kind, match[kind]
        if kind == 'end':
            return


def _unexpected(kind: str, token: str | list[str]) -> str:
    if kind == 'string':
        token = token[0]
    if kind == 'end':
        return 'it ends too early'
    if kind == 'word':
        return f'{shortened(token, 30)} is not a literal'
    return f'unexpected {shortened(token, 30)}'


def _is_complete(opening: str, items: list) -> bool:
    return opening != '{' or len(items) % 2 == 0


def _built(opening: str, items: list, ends_with_comma: bool) -> object:
    if opening == '{':
        return dict(zip(items[::2], items[1::2], strict=True))
    if opening == '(' and len(items) == 1 and not ends_with_comma:
        return items[0]
    return items


def _key(value: object) -> str:
    """The key that `json` writes for `value`."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: 'null', True: 'true', False: 'false'}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    raise LiteralError('a list or a mapping cannot be a key')


def _word(token: str) -> object:
    try:
        return _WORDS[token]
    except KeyError:
        raise LiteralError(_unexpected('word', token)) from None


def _number(token: str) -> object:
    try:
        if token[-1] in 'lL' and token[-2:-1].isalnum():
            return int(token[:-1], 0)
        try:
            return int(token, 0)
        except ValueError:
            if not set(token) & set('.eE'):
                # Such as 010, which was octal in Python 2: better refuse.
                raise
            return float(token)
    except ValueError:
        raise LiteralError(f'bad number {shortened(token, 30)}') from None


def _string(tokens: list[str]) -> str:
    return _joined(''.join([_one_string(token) for token in tokens]))


def _one_string(token: str) -> str:
    prefix, content = _split_string(token)
    if 'b' in prefix:
        try:
            return _bytes(prefix, content).decode('utf-8')
        except UnicodeDecodeError:
            raise LiteralError(
                'bytes that are not UTF-8 can only be the string_value'
            ) from None
    return content if 'r' in prefix else _unescaped(content)


def _split_string(token: str) -> tuple[str, str]:
    """The prefix of a string literal, and what is between its quotes."""
    quote = min(at for at in (token.find("'"), token.find('"')) if at >= 0)
    prefix = token[:quote].lower()
    if prefix not in _PREFIXES:
        raise LiteralError(f'no string begins with {token[:quote + 1]}')
    closing = token[quote + 1:]
    content = closing[:-1]
    slashes = len(content) - len(content.rstrip('\\'))
    if closing[-1:] != token[quote] or slashes % 2:
        raise LiteralError('the closing quote is missing')
    return prefix, content


def _unescaped(text: str) -> str:
    if '\\' not in text:
        return text
    return _ESCAPE.sub(_character, text)


def _character(match: re.Match) -> str:
    letter, hexadecimal, octal, short, long, name = match.groups()
    if letter:
        return _LETTERS[letter]
    if octal:
        return chr(int(octal, 8))
    try:
        if name:
            return unicodedata.lookup(name)
        return chr(int(hexadecimal or short or long or '', 16))
    except (KeyError, ValueError, OverflowError):
        raise LiteralError(f'bad escape {match[0]!r}') from None


def _bytes(prefix: str, content: str) -> bytes:
    if not content.isascii():
        raise LiteralError('bytes are written in ASCII')
    if 'r' not in prefix:
        content = re.sub(
            r'\\(?:([\\\'"abfnrtv])|x([0-9a-fA-F]{2})|([0-7]{1,3}))',
            _character_of_bytes, content)
    try:
        return content.encode('latin-1')
    except UnicodeEncodeError:
        raise LiteralError('bytes are at most \\377') from None


def _character_of_bytes(match: re.Match) -> str:
    letter, hexadecimal, octal = match.groups()
    if letter:
        return _LETTERS[letter]
    return chr(int(hexadecimal, 16) if hexadecimal else int(octal, 8))


def _joined(text: str) -> str:
    """Make one character of a surrogate pair, as JSON does."""
    if _SURROGATES.search(text):
        return text.encode('utf-16', 'surrogatepass').decode(
            'utf-16', 'surrogatepass')
    return text


_READERS = {'string': _string, 'number': _number, 'word': _word}
