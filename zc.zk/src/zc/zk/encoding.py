"""Decode the data of a node to properties, and encode properties.

The data is a JSON object whose members are the properties. Data of another
kind is the property ``string_value``, which is written back as the same bytes.
"""
import json
import logging
import re

from zc.zk.loglimit import LimitedLogger
from zc.zk.printable import printable

#: How many levels deep lists and mappings may be nested in a value.
MAX_NESTING = 100

logger = LimitedLogger(logging.getLogger('zc.zk'))

# What json.loads calls, for objects without spaces around.
_scan = json.JSONDecoder().raw_decode

_dump = json.JSONEncoder(separators=(',', ':')).encode

_MARKS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|([][{}])', re.DOTALL)


def decode(data: bytes | None, path: str = '?') -> dict:
    """Return the properties in the data of the node at `path`.

    Empty data, and None, have no properties. Bytes that are not UTF-8 become
    lone surrogates in ``string_value`` (PEP 383, ``surrogateescape``).
    """
    if not data:
        return {}
    properties = decode_plain(data)
    if properties is not None:
        return properties
    try:
        properties = _decode_object(data)
    except (ValueError, RecursionError) as error:
        logger.warning('bad JSON in the data of %s: %s', printable(path),
                       error)
        properties = None
    if properties is None:
        return {'string_value': data.decode('utf-8', 'surrogateescape')}
    return properties


def decode_plain(data: bytes) -> dict | None:
    """Return the properties of a JSON object, None for other data.

    It is the fast path for large trees. None does not mean that there are no
    properties: call `decode` then.
    """
    try:
        text = data.decode()
        if text[0] == '{' and (len(text) <= MAX_NESTING or _is_shallow(text)):
            properties, end = _scan(text)
            if end == len(text):
                return properties
    except ValueError:
        pass
    return None


def encode(properties: dict) -> bytes:
    """Return the data that `decode` reads as `properties`.

    Raises TypeError or ValueError for values that JSON cannot hold, and for
    values that are nested more than `MAX_NESTING` levels deep.
    """
    if len(properties) == 1 and 'string_value' in properties:
        data = _encode_string_value(properties['string_value'])
        if data is not None:
            return data
    text = _dump(properties)
    if len(text) > MAX_NESTING and not _is_shallow(text):
        raise ValueError(
            f'a value is nested more than {MAX_NESTING} levels deep')
    return text.encode('ascii')


def _decode_object(data: bytes) -> dict | None:
    stripped = data.strip()
    if not (stripped.startswith(b'{') and stripped.endswith(b'}')):
        return None
    text = stripped.decode('utf-8')
    if not _is_shallow(text):
        raise ValueError(f'nested more than {MAX_NESTING} levels deep')
    return json.loads(text)


def _encode_string_value(value: object) -> bytes | None:
    """Return the value's bytes; None if they would not be read as it."""
    if not isinstance(value, str) or not value:
        return None
    try:
        data = value.encode('utf-8', 'surrogateescape')
        if _decode_object(data) is not None:
            return None
    except UnicodeEncodeError:
        return None
    except (ValueError, RecursionError):
        pass
    same = data.decode('utf-8', 'surrogateescape') == value
    return data if same else None


def _is_shallow(text: str) -> bool:
    if text.count('[') + text.count('{') <= MAX_NESTING + 1:
        return True
    depth = 0
    for match in _MARKS.finditer(text):
        if match[1]:
            depth += 1 if match[1] in '[{' else -1
            if depth > MAX_NESTING + 1:
                return False
    return True
