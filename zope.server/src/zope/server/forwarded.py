"""The fields in which proxies tell of their clients, as values.

``X-Forwarded-*`` have no standard; ``Forwarded`` is that of RFC 7239.  Clients
can send all of these, too: a value is checked before it is used, and whom to
believe is for `proxies` to say.
"""
from __future__ import annotations

import re
from typing import NamedTuple

from zope.server.errors import HTTPError
from zope.server.networks import parse_address
from zope.server.request import is_host

SCHEMES = {'http': '80', 'https': '443'}
# An obfuscated identifier (RFC 7239, 6.3).
is_obfuscated = re.compile(r'_[A-Za-z0-9._-]{1,100}').fullmatch
is_port = re.compile('[0-9]{1,5}').fullmatch
# An address, and its port if it has one: an IPv6 address that has one is in
# brackets.
split_node = re.compile(r'(?:\[([^][]*)\]|([^:]*))(?::([^:]*))?').fullmatch
split_host = re.compile(r'(\[[^]]*\]|[^:]*)(?::([0-9]*))?').fullmatch
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A pair, and what separates it from the next pair or element (RFC 7239, 4).
# Elements are a list, whose members may be empty (RFC 9110, 5.6.1).
next_pair = re.compile(
    rf'({TOKEN})=(?:({TOKEN})|"((?:[\t !#-\[\]-~\x80-\xff]'
    r'|\\[\t -~\x80-\xff])*)")').match
# Both can have empty places.
next_separator = re.compile(
    r';*(?:[ \t]*,[ \t,]*;*|[ \t]*\Z)|;+').match
first_place = re.compile('[ \t,]*;*').match
unescaped = re.compile(r'\\(.)').sub


class Node(NamedTuple):
    """A client or a proxy, as another proxy names it.

    `address` is an IP address, ``unknown``, or an obfuscated identifier.
    `port` is None where none is told.
    """

    address: str
    port: str | None


class Element(NamedTuple):
    """What one proxy has told; '' and None: nothing of that.

    `text` is the element as it came.
    """

    client: Node | None
    host: str
    scheme: str
    text: str


def malformed(name: str) -> HTTPError:
    """Return the error of a field that cannot be understood."""
    return HTTPError(400, f'The {name} field is malformed.')


def items_of(value: str) -> list[str]:
    """Return the members of a list, without those that are empty."""
    return [item for item in map(str.strip, value.split(',')) if item]


def unquoted(item: str) -> str:
    """Return an item without the quotation marks around it."""
    if len(item) > 1 and item[0] == item[-1] == '"':
        return item[1:-1]
    return item


def parse_node(text: str, name: str) -> Node:
    """Return a node of the field `name`; raise HTTPError if it is none."""
    address = parse_address(text)
    if address is not None and '%' not in text:
        # Without brackets an IPv6 address has no port.
        return Node(str(address), None)
    match = split_node(text)
    if match is None:
        raise malformed(name)
    bracketed, bare, port = match.groups()
    if port is not None and (
            not is_port(port) or int(port) > 65535) and not is_obfuscated(
            port):
        raise malformed(name)
    if port is not None and port[0] == '_':
        port = None
    if bracketed is not None:
        address = parse_address(bracketed)
        if address is None or ':' not in bracketed or '%' in bracketed:
            raise malformed(name)
        return Node(str(address), port)
    address = parse_address(bare)
    if address is not None and '%' not in bare:
        return Node(str(address), port)
    if bare.lower() == 'unknown':
        return Node('unknown', None)
    if not is_obfuscated(bare):
        raise malformed(name)
    return Node(bare, None)


def parse_scheme(text: str, name: str) -> str:
    """Return a scheme in lower case; raise HTTPError for an unknown one."""
    scheme = text.lower()
    if scheme not in SCHEMES:
        raise malformed(name)
    return scheme


def parse_host(text: str, name: str) -> str:
    """Return a host, with its port if it has one; raise HTTPError."""
    if not text or text[0] == ':' or not is_host(text):
        raise malformed(name)
    parse_port(hostname_and_port(text)[1] or '0', name)
    return text


def parse_port(text: str, name: str) -> str:
    """Return a port; raise HTTPError if it is none."""
    if not is_port(text) or int(text) > 65535:
        raise malformed(name)
    return str(int(text))


def hostname_and_port(host: str) -> tuple[str, str]:
    """Split a Host that was checked; the port is '' if there is none."""
    match = split_host(host)
    return (host, '') if match is None else (match[1], match[2] or '')


def parse_forwarded(value: str) -> list[Element]:
    """Return the elements of a Forwarded field.

    Raise HTTPError when anything of it is not as RFC 7239 has it: what one
    proxy has sent could otherwise hide what the next has added.
    """
    elements: list[Element] = []
    start = position = end_of(first_place(value))
    pairs: dict[str, str] = {}
    while position < len(value):
        pair = next_pair(value, position)
        if pair is None:
            raise malformed('Forwarded')
        name, token, quoted = pair.groups()
        name = name.lower()
        if name in pairs:
            raise malformed('Forwarded')
        pairs[name] = token or unescaped(r'\1', quoted or '')
        separator = next_separator(value, pair.end())
        if separator is None:
            raise malformed('Forwarded')
        position = separator.end()
        if ',' in separator[0]:
            elements.append(element_of(pairs, value[start:pair.end()]))
            start, pairs = position, {}
    if pairs:
        elements.append(element_of(pairs, value[start:]))
    return elements


def end_of(match: re.Match[str] | None) -> int:
    """Return where a match ends, 0 without one."""
    return 0 if match is None else match.end()


def element_of(pairs: dict[str, str], text: str) -> Element:
    """Return the element of these pairs; raise HTTPError."""
    nodes = {name: forwarded_node(pairs[name])
             for name in ('for', 'by') if name in pairs}
    return Element(
        nodes.get('for'),
        parse_host(pairs['host'], 'Forwarded') if 'host' in pairs else '',
        parse_scheme(pairs['proto'], 'Forwarded') if 'proto' in pairs else '',
        text)


def forwarded_node(text: str) -> Node:
    """Return a node; raise HTTPError for IPv6 without its brackets."""
    if text.count(':') > 1 and text[0] != '[':
        raise malformed('Forwarded')
    return parse_node(text, 'Forwarded')
