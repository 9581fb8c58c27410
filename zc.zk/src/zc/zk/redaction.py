"""Redact secrets in option values.

By option name, in URLs, DSNs, JSON, YAML and ZConfig text. The recipe of
zc.zkzopeserver keeps secrets out of files that every user can read, commands
out of what they print. In doubt, hide more.
"""
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

MASK = '********'

_is_secret_name = re.compile(
    r'passw|passphrase|pwd$|secret|token|credential|(^|[-_./\s])(auth|key)$'
    r'|(private|api|access|session|signing|encryption)[-_.]?key',
    re.IGNORECASE).search

# Each of these patterns takes time in proportion to the length of its text,
# also for hostile text: what repeats can match in one way only.
_word = re.compile(r'\S+')
_code_word = re.compile(r'[\w-]+').findall
_user = re.compile(r'://[^/\s:@]*:')
_name = re.compile(r'''
    (?: (?<![\w./-]) ([\w-][\w./-]*) \s*=+         # DSNs, queries: name=
      | (?<!\S) --([\w-]+) \s+                     # commands: --name value
      | (["'])([^"'\s]+)\3 \s*(?:=>|:)             # JSON, dicts: "name":
      | (?:^|[{,]) \s*([\w.-]+) \s*:(?=\s)         # YAML: {name: value}
    )\s*''', re.VERBOSE)
_quoted = r'''(?:"(?:[^"\\]|\\.?)*"?|'(?:[^'\\]|\\.?)*'?)+'''
_value = re.compile(
    rf'''{_quoted}[^\s;&,)}}\]]*|[\[{{(].*|(?:\\.?|[^\s;&\\])+''').match
_item = re.compile(
    rf'''{_quoted}|[\[{{(].*|[^\s,}}\]]+''').match

# What the recipe puts before a line to keep its blanks in an ini.
_GUARD = '%(__empty__)s'
_COMMENTS = '#', ';'
_entry = re.compile(
    rf'(\s*(?:{re.escape(_GUARD)}\s*)?(?:[#;]+\s*)?'
    r'(?:(?:set|export|%?%define|-)\s+)?)'
    r'''(["']?[\w./-]+["']?)(\s*\+?(?:=>|[=:]+)\s*|\s+(?=\S))(.*)''').fullmatch

# Options whose names look like secrets, and whose values are file names.
PATHS = 'zookeeper_auth_file', 'zookeeper_key'


def is_secret(name: str, value: str) -> bool:
    """Whether an option holds a secret, by its name or by its value."""
    return redact(name, value) != value


def has_secret(values: Mapping[str, str]) -> bool:
    """Whether one of the options holds a secret."""
    return any(is_secret(name, value) for name, value in values.items())


def mentions_secret(text: str) -> bool:
    """Return whether code or a command has a secret, or a secret's name.

    It takes the names for the secrets: how code passes a value on has no
    form by which the value could be found.
    """
    return redact_text(text) != text or any(
        map(_is_secret_name, _code_word(text)))


def redact(name: str, value: str, mask: str = MASK) -> str:
    """Return the value of an option, with `mask` in place of secrets.

    The whole value is a secret by the option's name. Parts of it are secrets
    in a URL, a DSN or a dict with a password, and in lines with names of
    their own, such as ZConfig's.
    """
    if name in PATHS or not value:
        return value
    if _is_secret_name(name):
        return mask
    if '\n' in value:
        return redact_text(value, mask)
    return _redact_pairs(_redact_urls(value, mask), mask)


def redact_value(name: str, value: Any, mask: str = MASK) -> Any:
    """Return the value of a node's property, with `mask` for secrets.

    `value` is anything that JSON can hold. A list or a dictionary that has a
    secret anywhere becomes one text.
    """
    if isinstance(value, str):
        return redact(name, value, mask)
    if value is None or isinstance(value, bool):
        return value
    if _is_hidden(name):
        return mask
    if isinstance(value, int | float):
        return value
    text = json.dumps(value, ensure_ascii=False)
    shown = redact(name, text, mask)
    return value if shown == text else shown


def redact_text(text: str, mask: str = MASK) -> str:
    """Return lines of ``NAME = VALUE``, with `mask` in place of secrets.

    Indented lines belong to the value of the line before, also after a
    comment.
    """
    lines: list[str] = []
    hidden: int | None = None
    for line in text.split('\n'):
        bare = line.replace(_GUARD, '')
        indent = len(bare) - len(bare.lstrip())
        is_comment = bare.lstrip().startswith(_COMMENTS)
        if hidden is not None and bare.strip():
            if indent > hidden:
                continue
            if not is_comment:
                hidden = None
        lines.append(_redact_line(line, mask))
        match = _entry(line)
        if match and _is_hidden(match[2].strip('"\'')) and not is_comment:
            hidden = indent
    return '\n'.join(lines)


def _is_hidden(name: str) -> bool:
    return bool(name not in PATHS and _is_secret_name(name))


def _redact_line(line: str, mask: str) -> str:
    match = _entry(line)
    # After a comment sign, words are prose unless they are an assignment.
    if not match or not match[3].strip() and match[1].strip(' \t').endswith(
            _COMMENTS):
        return redact('', line, mask)
    start = line[:match.start(4)]
    return start + redact(match[2].strip('"\''), match[4], mask)


def _redact_urls(text: str, mask: str) -> str:
    """Redact the passwords in URLs, which may contain an ``@``."""
    def without(match: re.Match[str]) -> str:
        word = match[0]
        end = word.rfind('@')
        user = _user.search(word, 0, max(end, 0))
        if not user or user.end() == end:
            return word
        return word[:user.end()] + mask + word[end:]

    return _word.sub(without, text)


def _redact_pairs(text: str, mask: str) -> str:
    """Redact the values of names that look like secrets."""
    found: list[str] = []
    at = start = 0
    while match := _name.search(text, start):
        start = match.end()
        item = match[4] or match[5]
        if not _is_hidden(match[1] or match[2] or item):
            continue
        if value := (_item if item else _value)(text, start):
            found += text[at:start], mask
            at = start = value.end()
    return ''.join([*found, text[at:]])
