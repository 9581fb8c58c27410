"""Node data as properties."""
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zc.zk.encoding import decode
from zc.zk.encoding import encode
from zc_zk_support import trees


@pytest.mark.parametrize('data, properties', [
    (b'', {}),
    (None, {}),
    (b'{}', {}),
    (b' {"a": 1}\n', {'a': 1}),
    (b'{"a":{"b":[null,true,1.5]}}', {'a': {'b': [None, True, 1.5]}}),
    ('{"é":"\u2028"}'.encode(), {'é': '\u2028'}),
    (b'hello', {'string_value': 'hello'}),
    (b' ', {'string_value': ' '}),
    (b'[1]', {'string_value': '[1]'}),
    (b'"a"', {'string_value': '"a"'}),
    (b'\xff{}', {'string_value': '\udcff{}'}),
    (b'{"a":"\xff"}', {'string_value': '{"a":"\udcff"}'}),
])
def test_decode(data, properties):
    assert decode(data) == properties


@pytest.mark.parametrize('properties, data', [
    ({}, b'{}'),
    ({'a': 1, 'b': 'x'}, b'{"a":1,"b":"x"}'),
    ({'a': 'é'}, b'{"a":"\\u00e9"}'),
    ({'string_value': 'hello'}, b'hello'),
    ({'string_value': 'é\udcff'}, b'\xc3\xa9\xff'),
    # What the data itself would be read as is not this:
    ({'string_value': ''}, b'{"string_value":""}'),
    ({'string_value': 1}, b'{"string_value":1}'),
    ({'string_value': '{}'}, b'{"string_value":"{}"}'),
    ({'string_value': '\udcc3\udca9'}, b'{"string_value":"\\udcc3\\udca9"}'),
    ({'string_value': '\ud800'}, b'{"string_value":"\\ud800"}'),
    ({'string_value': 'a', 'b': 1}, b'{"string_value":"a","b":1}'),
])
def test_encode(properties, data):
    assert encode(properties) == data
    assert decode(data) == properties


@pytest.mark.parametrize('data', [
    b'{"a"}', b'{"a":' + b'[' * 101 + b']' * 101 + b'}',
    b'{"a":' + b'[' * 100000 + b']' * 100000 + b'}',
    b'{"a":' + b'9' * 5000 + b'}',
])
def test_bad_json_is_text_and_logged(data, caplog):
    with caplog.at_level(logging.WARNING, 'zc.zk'):
        properties = decode(data, '/the/path')
    assert properties == {'string_value': data.decode()}
    assert encode(properties) == data
    [record] = caplog.records
    assert '/the/path' in record.getMessage()
    assert len(record.getMessage()) < 300


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError):
        encode({'a': {1}})
    deep = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(ValueError, match='more than 100 levels'):
        encode({'a': deep})
    assert decode(encode({'a': deep[0]})) == {'a': deep[0]}


def test_brackets_in_strings_are_not_nesting():
    properties = {'a': '[{"' * 200}
    assert decode(encode(properties)) == properties


@given(st.binary())
def test_any_bytes_come_back(data):
    if not trees.is_object(data) and data:
        assert encode(decode(data)) == data


@given(trees.properties())
def test_any_properties_come_back(properties):
    assert repr(decode(encode(properties))) == repr(properties)
