"""The target of a request: what it asks for, and from which host."""
from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from zope.server.errors import Refusal

# RFC 9110, 4.2 and 7.2.  Commas are left out: no host has one, and a list of
# hosts is what a proxy makes of a repeated field.
HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*)"
    r'(?::[0-9]{0,5})?').fullmatch
ABSOLUTE = re.compile(r'https?://([^/?#]+)([^#]*)', re.IGNORECASE).fullmatch
BROKEN_ESCAPE = re.compile(r'%(?![0-9A-Fa-f]{2})').search


HOSTS_KEPT = 1000
# Some that were found to be right.
hosts: set[str] = set()


def is_host(value: str) -> bool:
    """Whether this can be the value of a Host field; the empty one can."""
    if HOST(value) is None:
        return False
    if len(hosts) < HOSTS_KEPT:
        hosts.add(value)
    return True


def split(target: str, method: str) -> tuple[str, str, str | None]:
    """The target of a request -> (PATH_INFO, QUERY_STRING, host).

    The host is None unless the target names one.  The path has its escapes
    resolved into bytes that are decoded as latin-1, as PEP 3333 wants.
    Refusal when the target is of no form that this method has.
    """
    host = None
    if target[0] != '/':
        if target == '*' and method == 'OPTIONS':
            return '', '', None
        host, target = split_absolute(target)
    if '#' in target:
        raise Refusal(400, 'The target has a fragment.')
    path, _, query = target.partition('?')
    if '%' in path:
        if BROKEN_ESCAPE(path):
            raise Refusal(400, 'The path has a malformed escape.')
        path = unquote_to_bytes(path).decode('latin-1')
    return path, query, host


def split_absolute(target: str) -> tuple[str, str]:
    """``http://HOST/PATH`` -> (host, path); the path always has its ``/``."""
    match = ABSOLUTE(target)
    if match is None or not is_host(match[1]) or match[1].startswith(':'):
        raise Refusal(400, 'The target is not one that a server can have.')
    rest = match[2]
    return match[1], rest if rest.startswith('/') else '/' + rest
