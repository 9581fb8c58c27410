"""Text of others, made fit for a terminal, a log line and a table.

Everybody who may write into a tree chooses names and values there, and a
peer chooses what it answers. An escape sequence in such a text steers the
terminal of the operator, a line end forges a line of the log, and a control
character for the direction of writing shows another text than the one that
is there (https://trojansource.codes/). Every message, log line and table
shows such text as `printable` returns it.
"""

#: Characters that `printable` keeps at most, where its caller names no number.
LIMIT = 1000


def printable(text: object, limit: int = LIMIT) -> str:
    r"""Return the text of an object in one line of printable characters.

    What `str.isprintable` does not count as printable is escaped as in a
    Python literal: controls (a line end is `\n`, ESC is `\x1b`), format
    characters such as those for the direction of writing (`\u202e`), line
    and paragraph separators, all spaces but the ordinary one, surrogates and
    characters that Unicode has not assigned. Backslashes stay single: the
    result is for reading, it cannot be turned back.

    A text of more than `limit` characters is cut there, before it is
    escaped, and ends in `...`. Bytes are decoded as UTF-8, each byte that
    does not fit being escaped.
    """
    if isinstance(text, bytes | bytearray):
        text = text[:4 * limit + 4].decode('utf-8', 'surrogateescape')
    text = str(text)
    end = ''
    if len(text) > limit:
        text, end = text[:limit], '...'
    if not text.isprintable():
        text = ''.join(
            sign if sign.isprintable() else _escaped(sign) for sign in text)
    return text + end


def printable_lines(text: str) -> list[str]:
    r"""Return the lines of a text of any length, each as `printable` has it.

    For output that may have lines and tabs of its own. A line ends with
    ``\n``, and with nothing else that `str.splitlines` takes for an end. An
    empty text has no lines.
    """
    if not text:
        return []
    return [
        '\t'.join(printable(part, len(part)) for part in line.split('\t'))
        for line in text.removesuffix('\n').split('\n')]


def _escaped(sign: str) -> str:
    number = ord(sign)
    if 0xdc80 <= number <= 0xdcff:      # a byte, by surrogateescape (PEP 383)
        return f'\\x{number - 0xdc00:02x}'
    return sign.encode('unicode_escape').decode('ascii')
