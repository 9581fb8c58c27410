"""hypothesis strategies for trees, names, values and data."""
import json

from hypothesis import strategies as st
from zc.zk.encoding import decode
from zc.zk.tree import Node
from zc.zk.tree import name_problem

#: Pieces of text that have a meaning in the text format.
PIECES = ['->', '=>', '=', '#', ':', ' ', '\n', "'", '"', '\\', '/', '[', ']',
          'u', 'L', 'a', 'é', '\x85', '\u2028', '\xa0', 'type', 'acl', '\t',
          'string_value', '..', '1', '\U0001f600', '\ud800', '\udc80', '\r']


def texts():
    return st.one_of(
        st.lists(st.sampled_from(PIECES), max_size=6).map(''.join),
        st.text(max_size=8),
    ).map(lambda text: json.loads(json.dumps(text)))


def names():
    return texts().filter(lambda name: name_problem(name) is None)


def values():
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | texts(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            texts(), inner, max_size=3), max_leaves=5)


def properties():
    keys = st.one_of(
        texts(), texts().map('{} ->'.format), texts().map('{} =>'.format),
        st.sampled_from(['type', 'string_value', 'name']))
    return st.dictionaries(keys, values() | texts(), max_size=4)


def data():
    """Return a strategy for any bytes, and for likely data of nodes."""
    return st.one_of(
        st.binary(max_size=30),
        texts().map(lambda text: text.encode('utf-8', 'surrogatepass')),
        values().map(lambda value: json.dumps(value).encode()),
        properties().map(lambda value: json.dumps(value).encode()),
        properties().map(
            lambda value: json.dumps(value, ensure_ascii=False).encode(
                'utf-8', 'surrogatepass')),
        st.sampled_from([
            b'', b' ', b'{}', b'{', b'{}}', b'\xff', b'[1]', b'"a"',
            b'{"a":1e999}', b'{"a":NaN}', b'{"a":1,"a":2}',
            b'{"string_value":"a"}', b'{"string_value":"{}"}',
            b'{"string_value":""}', b'{"string_value":5}',
            b'{"a":' + b'[' * 99 + b']' * 99 + b'}',
            b'{"a":' + b'[' * 101 + b']' * 101 + b'}',
            b'caf\xc3\xa9', b'\xc2\x85',
        ]))


def nodes():
    """Return a strategy for trees of Node objects, without a top name."""
    node = st.builds(
        Node, properties=properties() | data().map(decode),
        acl=st.none() | st.lists(st.sampled_from(
            ['world:anyone:r', 'digest:a:b=:cdrwa', "ip:'\\ :"]),
            min_size=1).map(tuple))
    tree = st.recursive(
        node, lambda inner: st.builds(
            _with_children, node,
            st.dictionaries(names(), inner, max_size=3)), max_leaves=6)
    return st.dictionaries(names(), tree, max_size=3).map(
        lambda children: _with_children(Node(), children))


def _with_children(node, children):
    for name, child in children.items():
        child.name = name
    return Node(node.name, node.properties, children, node.acl)


def comparable(node):
    """Return a tree in a form that can be compared, with equal NaNs."""
    return (repr(sorted(node.properties.items())), node.acl, {
        name: comparable(child) for name, child in node.children.items()})


def is_object(data):
    """Return whether the data is a JSON object, which may be respelt."""
    return isinstance(data, bytes) and data.strip()[:1] == b'{'
