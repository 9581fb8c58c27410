"""Test the equality of properties, which is not that of Python."""
import json

import pytest
from hypothesis import given
from zc.zk.sync.change import are_alike
from zc.zk.sync.change import is_same
from zc_zk_support import trees


@pytest.mark.parametrize('one, other', [
    (1, True), (0, False), (1, 1.0), ([1], [True]), ({'a': 0}, {'a': False}),
    (None, 'null'), ('1', 1)])
def test_what_json_tells_apart(one, other):
    assert not is_same(one, other)
    assert not are_alike({'x': one}, {'x': other})
    assert not is_same({'x': one}, {'x': other})


@given(trees.properties(), trees.properties())
def test_what_looks_the_same_is_the_same(one, other):
    for new in (one, other, json.loads(json.dumps(one))):
        if are_alike(one, new):
            assert is_same(one, new)
    assert is_same(one, json.loads(json.dumps(one)))


def test_most_properties_are_seen_to_be_the_same():
    properties = {'a': 'b', 'c': 1, 'd': True, 'e': None}
    assert are_alike(properties, dict(reversed(properties.items())))
    assert not are_alike(properties, properties | {'a': 'c'})
    assert not are_alike(properties, properties | {'f': 1})
