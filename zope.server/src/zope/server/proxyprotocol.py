"""HAProxy's PROXY protocol, versions 1 and 2: who has connected to the proxy.

A proxy sends the header once, before the first byte of its client.  The rules
are those of https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
"""
from __future__ import annotations

import ipaddress
import re
import struct
from typing import NamedTuple

from zope.server.errors import HTTPError

# Of version 1, with its CR LF: the longest that the protocol allows.
LINE_BYTES = 107
SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
# Of version 2: signature, version and command, family, length of the rest.
FIXED = struct.Struct('!12sBBH')
# The most that may follow: addresses take 216 bytes, and the rest are TLVs,
# such as the names in a client's certificate.
REST_BYTES = 4096
LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6 = 0x11, 0x21
ADDRESSES = {TCP4: struct.Struct('!4s4sHH'), TCP6: struct.Struct('!16s16sHH')}
# Families for which the header names no address that HTTP could use: not
# specified, UDP, and unix sockets.
OTHERS = {0x00, 0x12, 0x22, 0x31, 0x32}
PREFIX = b'PROXY '
line_of = re.compile(
    rb'PROXY (?:(TCP4|TCP6) ([0-9A-Fa-f.:]{2,39}) ([0-9A-Fa-f.:]{2,39})'
    rb' (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})|UNKNOWN(?: [ -~]*)?)\r\n'
).fullmatch


class Source(NamedTuple):
    """The client of a proxy."""

    address: str
    port: int


class Header(NamedTuple):
    """A header that is complete: its size in bytes, and what it says.

    `source` is None where the connection is the proxy's own (LOCAL), or where
    the proxy does not know the address, or no IP address.
    """

    size: int
    source: Source | None


def read_header(data: bytes) -> Header | None:
    """Return the header with which `data` begins; None: more is to come.

    Raise HTTPError when it can become none.
    """
    if data.startswith(SIGNATURE[:len(data)]):
        return read_version_2(data)
    if data.startswith(PREFIX[:len(data)]):
        return read_version_1(data)
    raise HTTPError(400, 'The PROXY header is missing.')


def read_version_1(data: bytes) -> Header | None:
    """Return a header of version 1, which is a line; see `read_header`."""
    end = data.find(b'\r\n', 0, LINE_BYTES)
    if end < 0:
        if len(data) < LINE_BYTES:
            return None
        raise malformed()
    match = line_of(data, 0, end + 2)
    if match is None:
        raise malformed()
    family, source, target, port, target_port = match.groups()
    if family is None:
        return Header(end + 2, None)
    kind = (ipaddress.IPv4Address if family == b'TCP4'
            else ipaddress.IPv6Address)
    try:
        address, _ = kind(source.decode()), kind(target.decode())
    except ValueError:
        raise malformed() from None
    if max(int(port), int(target_port)) > 65535:
        raise malformed()
    return Header(end + 2, Source(text_of(address), int(port)))


def read_version_2(data: bytes) -> Header | None:
    """Return a header of version 2; see `read_header`."""
    if len(data) < FIXED.size:
        return None
    _, command, family, length = FIXED.unpack_from(data)
    if command not in (LOCAL, PROXY) or length > REST_BYTES:
        raise malformed()
    addresses = ADDRESSES.get(family)
    if command == PROXY:
        if addresses is None and family not in OTHERS:
            raise malformed()
        if addresses is not None and length < addresses.size:
            raise malformed()
    if len(data) < FIXED.size + length:
        return None
    size = FIXED.size + length
    if command == LOCAL or addresses is None:
        # What follows is skipped, as the TLVs are.
        return Header(size, None)
    packed, _, port, _ = addresses.unpack_from(data, FIXED.size)
    return Header(size, Source(text_of(ipaddress.ip_address(packed)), port))


def text_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an address as text, an IPv4-mapped one as IPv4."""
    return str(getattr(address, 'ipv4_mapped', None) or address)


def malformed() -> HTTPError:
    """Return the error of a header that is not as the protocol has it."""
    return HTTPError(400, 'The PROXY header is malformed.')
