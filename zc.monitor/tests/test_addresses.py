"""Tests of reading and writing addresses."""
import pathlib

import pytest
from zc.monitor.addresses import format_address
from zc.monitor.addresses import parse_address


@pytest.mark.parametrize(('given', 'parsed', 'text'), [
    (80, ('', 80), ':80'),
    (0, ('', 0), ':0'),
    (('h', 80), ('h', 80), 'h:80'),
    (['::1', 80], ('::1', 80), '[::1]:80'),
    (('[::1]', 80), ('::1', 80), '[::1]:80'),
    ('localhost:80', ('localhost', 80), 'localhost:80'),
    (':65535', ('', 65535), ':65535'),
    ('[::1]:80', ('::1', 80), '[::1]:80'),
    ('/run/m.sock', '/run/m.sock', '/run/m.sock'),
    ('/run/m:80', '/run/m:80', '/run/m:80'),
    ('./m:80', './m:80', './m:80'),
    ('m.sock', 'm.sock', 'm.sock'),
    (pathlib.Path('m:80'), 'm:80', 'm:80'),
])
def test_what_is_an_address(given, parsed, text):
    assert parse_address(given) == parsed
    assert format_address(parsed) == text


@pytest.mark.parametrize(('given', 'message'), [
    ('', "'': an address is a port, a"),
    ('\0x', 'an address is a port, a'),
    (b'm.sock', 'an address is a port'),
    (None, 'None: an address is a port'),
    (80.0, '80.0: an address is a port'),
    (('h', 80, 0), 'an address is a port'),
    ((None, 80), 'an address is a port'),
    (('h', '80'), 'the port must be a number'),
    (True, 'the port must be a number'),
    (('h', True), 'the port must be a number'),
    (65536, '65536: a port is from 0 to 65535'),
    (-1, 'a port is from 0 to 65535'),
    ('h:99999', "'h:99999': a port is from 0 to 65535"),
])
def test_what_is_none(given, message):
    with pytest.raises(ValueError) as caught:
        parse_address(given)
    assert message in str(caught.value)
