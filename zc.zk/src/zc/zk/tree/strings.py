"""Read and write string literals as Python 2 and Python 3 write them."""
import re
import unicodedata

#: Matches a string literal of one line. It matches to the end of the line
#: when the closing quote is missing, so that a search takes linear time.
STRING = (r"""[bBuUrR]{0,2}(?:'(?:[^'\\\n]|\\.)*(?:'|$)"""
          r'''|"(?:[^"\\\n]|\\.)*(?:"|$))''')

_PREFIXES = frozenset({'', 'b', 'u', 'r', 'br', 'rb', 'ur'})

_ESCAPE = re.compile(
    r'\\(?:([\\\'"abfnrtv])|x([0-9a-fA-F]{2})|([0-7]{1,3})'
    r'|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^}]+)\}|[xuUN])')
_LETTERS = {
    '\\': '\\', "'": "'", '"': '"', 'a': '\a', 'b': '\b', 'f': '\f',
    'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
}
_SURROGATES = re.compile('[\ud800-\udfff]')
_is_bytes_of_python_2 = re.compile(
    r"""(?:'(?:[^'\\]|\\[\\'nrt]|\\x[0-9a-f]{2})*'"""
    r'''|"(?:[^"\\]|\\[\\"nrt]|\\x[0-9a-f]{2})*")''').fullmatch
_HIGH_ESCAPE = re.compile(r'(\\\\)|\\x([89a-f][0-9a-f])')


class LiteralError(ValueError):
    """A text that is not a literal; the message says why."""


def read_string(tokens: list[str]) -> str:
    """Return the text of adjacent string literals, joined.

    Raise LiteralError for a bad escape, an unknown prefix, a missing quote,
    and for bytes that are not UTF-8.
    """
    return join_surrogates(''.join([_one_string(token) for token in tokens]))


def read_bytes(token: str) -> bytes | None:
    """Return the bytes of a bytes literal; None for a text literal."""
    prefix, content = _split_string(token)
    return _bytes(prefix, content) if 'b' in prefix else None


def read_python_2_bytes(token: str) -> bytes | None:
    """Return the bytes of a literal that Python 2 wrote for bytes.

    Return None for bytes that are all ASCII, as their text is the same.
    """
    if (token.isascii() and '\\x' in token and _is_bytes_of_python_2(token)
            and any(high for _, high in _HIGH_ESCAPE.findall(token))):
        return _bytes('b', token[1:-1])
    return None


def write_string_value(value: str) -> str:
    """Return the literal that `read_string_value` reads as `value`."""
    if _SURROGATES.search(value):
        try:
            data = value.encode('utf-8', 'surrogateescape')
        except UnicodeEncodeError:
            return repr(value)
        if data.decode('utf-8', 'surrogateescape') == value:
            return repr(data)
    # \u00NN, as \xNN would be read as a byte of Python 2.
    return _HIGH_ESCAPE.sub(
        lambda match: match[1] or '\\u00' + match[2], repr(value))


def shorten(text: str, width: int = 60) -> str:
    """Return `text` quoted for a message, cut off after `width` characters."""
    return repr(text if len(text) <= width else text[:width - 3] + '...')


def join_surrogates(text: str) -> str:
    """Return `text` with each surrogate pair as one character, as in JSON."""
    if _SURROGATES.search(text):
        return text.encode('utf-16', 'surrogatepass').decode(
            'utf-16', 'surrogatepass')
    return text


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
    """Return the prefix of a string literal, and the text in its quotes."""
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
