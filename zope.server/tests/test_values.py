"""Parsers of values: what they take, and what they say when they do not."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from zope.server.values import InvalidValue
from zope.server.values import boolean
from zope.server.values import format_address
from zope.server.values import format_size
from zope.server.values import invalid_option
from zope.server.values import line
from zope.server.values import number
from zope.server.values import parse_host
from zope.server.values import seconds
from zope.server.values import server_name
from zope.server.values import shorten
from zope.server.values import size
from zope.server.values import switch_interval
from zope.server.values import text
from zope.server.values import token
from zope.server.values import unknown_option

PORT = number(0, 65535)
TIME = seconds(0.1, 3600)


@pytest.mark.parametrize('parse, given, value', [
    (text, ' a\nb ', 'a\nb'),
    (line, ' \xe4 b ', '\xe4 b'),
    (token, ' a b/1.0 ', 'a b/1.0'),
    (parse_host, '', ''), (parse_host, ' www.example.com ', 'www.example.com'),
    (parse_host, '::1', '::1'), (parse_host, '[::1]', '::1'),
    (parse_host, 'fe80::1%eth0', 'fe80::1%eth0'),
    (parse_host, 'a', 'a'), (parse_host, '10.0.0.1', '10.0.0.1'),
    (PORT, '0', 0), (PORT, ' 65535 ', 65535), (PORT, '007', 7),
    (TIME, '0.1', 0.1), (TIME, '3600', 3600.0), (TIME, ' 2.5', 2.5),
    (switch_interval, '0', 0.0), (switch_interval, '0.0001', 0.000_1),
    (switch_interval, '1', 1.0),
    (size, '1', 1), (size, '64K', 65536), (size, '64 KiB', 65536),
    (size, '64kb', 65536), (size, '2 TiB', 2 ** 41), (size, '5B', 5),
    (boolean, 'Yes', True), (boolean, ' on', True), (boolean, '1', True),
    (boolean, 'FALSE', False), (boolean, 'off', False), (boolean, '0', False),
])
def test_right_values(parse: Callable, given: str, value: Any) -> None:
    parsed = parse(given)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize('parse, given, allowed', [
    (text, ' ', 'some text'),
    (line, '', 'some text'), (line, 'a\nb', 'one line of printable text'),
    (token, 'a\tb', 'one line of printable ASCII text'),
    (token, '\xe4', 'one line of printable ASCII text'),
    (parse_host, 'a b', 'a host name or an IP address, without a port'),
    (parse_host, 'a:80', 'a host name or an IP address, without a port'),
    (parse_host, '-a', 'a host name or an IP address, without a port'),
    (parse_host, '[10.0.0.1]', 'an IPv6 address between the brackets'),
    (switch_interval, '0.00009', 'seconds from 0.0001 to 1, or 0'),
    (switch_interval, '5', 'seconds from 0.0001 to 1, or 0'),
    (switch_interval, '1e-3', 'seconds from 0.0001 to 1, or 0'),
    (PORT, '65536', 'a whole number from 0 to 65535'),
    (PORT, '-1', 'a whole number from 0 to 65535'),
    (PORT, '1e3', 'a whole number from 0 to 65535'),
    (PORT, '\u0661', 'a whole number from 0 to 65535'),
    (PORT, '', 'a whole number from 0 to 65535'),
    (TIME, '0', 'seconds from 0.1 to 3600'),
    (TIME, '5 m', 'seconds from 0.1 to 3600'),
    (TIME, 'inf', 'seconds from 0.1 to 3600'),
    (TIME, '.5', 'seconds from 0.1 to 3600'),
    (size, '0', 'a size of at least one byte, such as 65536, 64 KiB or 1 GiB'),
    (size, '1.5 GiB', 'a size of at least one byte, such as 65536, 64 KiB or'
     ' 1 GiB'),
    (size, '1 XB', 'a size of at least one byte, such as 65536, 64 KiB or'
     ' 1 GiB'),
    (boolean, 'ja', 'true or false'), (boolean, '', 'true or false'),
])
def test_wrong_values(parse: Callable, given: str, allowed: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(given)
    assert caught.value.allowed == str(caught.value) == allowed
    assert caught.value.part is None


@pytest.mark.parametrize('count, shown', [
    (1, '1'), (1000, '1000'), (1024, '1 KiB'), (1536, '1536'),
    (2 ** 20, '1 MiB'), (3 * 2 ** 30, '3 GiB'), (2 ** 41, '2 TiB'),
    (0, '0'),
])
def test_sizes_as_text(count: int, shown: str) -> None:
    assert format_size(count) == shown


def test_addresses_as_text() -> None:
    assert format_address(('', 80)) == ':80'
    assert format_address(('10.0.0.1', 80)) == '10.0.0.1:80'
    assert format_address(('::1', 80)) == '[::1]:80'


def test_messages() -> None:
    assert unknown_option('pth', ['path', 'port']) == (
        "unknown option 'pth' (did you mean 'path'?)")
    assert unknown_option('zzz', ['path', 'port', 'a']) == (
        "unknown option 'zzz' (known are a, path, port)")
    error = InvalidValue('a word')
    assert invalid_option('name', 'a\nb', error) == (
        "option 'name': 'a\\nb' is not a word")
    assert invalid_option('name', 'a 1', InvalidValue('a word', '1')) == (
        "option 'name': '1' is not a word")


def test_long_values_are_quoted_short() -> None:
    quoted = shorten('9' * 1000)
    assert len(quoted) == 61
    assert quoted.endswith("9...'")


def test_the_name_of_a_server_has_no_zone() -> None:
    assert server_name('fe80::1%eth0') == '[fe80::1]'
    assert server_name('web.example') == 'web.example'
    assert server_name('127.0.0.1') == '127.0.0.1'
