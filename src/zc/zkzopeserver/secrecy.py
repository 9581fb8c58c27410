"""What is nobody's business in options, and texts without it.

For the recipe, which keeps it out of files that everybody can read, and for
the verbs, which show it to nobody; standard library only.
"""
from __future__ import annotations

import re
from collections.abc import Mapping

MASK = '********'

_is_secret_name = re.compile(
    r'passw|passphrase|secret|token|credential|(^|[-_.])(auth|key)$'
    r'|(private|api|access|session|signing|encryption)[-_.]?key',
    re.IGNORECASE).search
_in_url = re.compile(r'(://[^/\s:@]*:)\S+(?=@)')
_in_dsn = re.compile(
    r'((?:^|[\s;,?&])(?:password|passwd|pwd|secret|token)\s*=\s*)'
    r"('[^']*'|[^\s;,&']+)", re.IGNORECASE)
_entry = re.compile(r'(\s*)([\w.-]+)(\s*[=:]\s*|\s+(?=\S))(.*)').fullmatch

# They look it, and are names of files.
PATHS = 'zookeeper_auth_file', 'zookeeper_key'


def is_secret(name: str, value: str) -> bool:
    """Whether an option holds a secret, by its name or by its value."""
    return masked(name, value) != value


def has_secret(values: Mapping[str, str]) -> bool:
    """Whether one of the options holds a secret."""
    return any(is_secret(name, value) for name, value in values.items())


def masked(name: str, value: str, mask: str = MASK) -> str:
    """The value of an option, without what looks like a secret.

    By the option's name, or in the value: a URL or DSN with a password.
    """
    if name in PATHS or not value:
        return value
    if _is_secret_name(name):
        return mask
    return _in_dsn.sub(rf'\1{mask}', _in_url.sub(rf'\1{mask}', value))


def masked_text(text: str, mask: str = MASK) -> str:
    """Lines of ``NAME = VALUE``, without what looks like a secret.

    Lines that are indented belong to the value of the line before.
    """
    lines: list[str] = []
    hidden: int | None = None
    for line in text.split('\n'):
        indent = len(line) - len(line.lstrip())
        if hidden is not None and line.strip():
            if indent > hidden:
                continue
            hidden = None
        lines.append(_masked_line(line, mask))
        match = _entry(line)
        if match and _is_hidden(match[2]):
            hidden = indent
    return '\n'.join(lines)


def _is_hidden(name: str) -> bool:
    return bool(name not in PATHS and _is_secret_name(name))


def _masked_line(line: str, mask: str) -> str:
    match = _entry(line)
    if not match:
        return masked('', line, mask)
    start = line[:match.start(4)]
    return start + masked(match[2], match[4], mask)
