"""The data of a node as properties, and back.

A JSON object is the properties. Data that is no JSON object is one property,
``string_value``, and is written back as the same bytes.
"""
import json
import logging
import re

#: How deeply lists and mappings may be nested in a value.
MAX_NESTING = 100

logger = logging.getLogger('zc.zk')

# What json.loads calls, for objects without spaces around.
_scan = json.JSONDecoder().raw_decode

_dump = json.JSONEncoder(separators=(',', ':')).encode

_MARKS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|([][{}])', re.DOTALL)


def decode(data: bytes | None, path: str = '?') -> dict:
    """Return the properties that are the data of the node at `path`.

    Empty data is no properties. Bytes that are not UTF-8 are lone surrogates
    in ``string_value``, as with the error handler ``surrogateescape``.
    """
    if not data:
        return {}
    properties = decode_plain(data)
    if properties is not None:
        return properties
    try:
        properties = _decode_object(data)
    except (ValueError, RecursionError) as error:
        logger.warning('bad JSON in the data of %s: %s', path, error)
        properties = None
    if properties is None:
        return {'string_value': data.decode('utf-8', 'surrogateescape')}
    return properties


def decode_plain(data: bytes) -> dict | None:
    """Return the properties of data that is a well-formed JSON object.

    A fast way for most data; None for everything that `decode` has to look
    at closely.
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

    Raises TypeError or ValueError for values that JSON cannot hold, or that
    are nested too deeply.
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
    """The data itself, unless it would be read as something else."""
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
