"""What should not be read by everybody, and texts without it."""
from __future__ import annotations

import re
from collections.abc import Mapping

MASK = '(not kept here)'

_WORDS = (r'passw(or)?d|passphrase|secret|token|credential|private.?key'
          r'|api.?key|access.?key|(^|[-_.])auth$')
_is_secret_name = re.compile(_WORDS, re.IGNORECASE).search
_credentials = re.compile(r'(://[^/\s:@]*:)[^/\s@]+(?=@)')
_entry = re.compile(r'(\s*)([\w.-]+)(\s*[=:]\s*|\s+)(?=\S)').match


def is_secret(name: str, value: str) -> bool:
    """Whether the option looks like a secret, by its name or a URL in it."""
    return bool(value and (_is_secret_name(name)
                           or _credentials.search(value)))


def has_secret(values: Mapping[str, str]) -> bool:
    """Whether one of the options looks like a secret."""
    return any(is_secret(name, value) for name, value in values.items())


def masked(text: str) -> str:
    """`NAME = VALUE` lines without the values that look like secrets."""
    lines: list[str] = []
    hidden: int | None = None
    for line in text.split('\n'):
        indent = len(line) - len(line.lstrip())
        if hidden is not None and line.strip() and indent > hidden:
            continue
        match = _entry(line)
        if match and _is_secret_name(match[2]):
            hidden = indent
            line = match[0] + MASK
        elif line.strip():
            hidden = None
        lines.append(_credentials.sub(rf'\g<1>{MASK}', line))
    return '\n'.join(lines)
