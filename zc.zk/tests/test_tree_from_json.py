"""Test trees that are read from JSON."""
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zc.zk.tree import Node
from zc.zk.tree import TreeError
from zc.zk.tree.as_json import tree_as_json
from zc.zk.tree.from_json import parse_json_tree
from zc.zk.tree.node import MARKS
from zc_zk_support import trees


def problem(text):
    with pytest.raises(TreeError) as caught:
        parse_json_tree(text)
    return str(caught.value)


@given(trees.nodes(), st.sampled_from([None, 1]))
def test_what_is_written_is_read(tree, indent):
    text = tree_as_json(tree)
    if indent:  # as other programs format it
        text = json.dumps(json.loads(text), indent=indent)
    tree.properties = {}
    assert trees.comparable(parse_json_tree(text)) == trees.comparable(tree)


def test_all_fields():
    node = Node('a', {'x': [1]}, acl=('world:anyone:r',), ephemeral=True,
                marks=frozenset(MARKS))
    read = parse_json_tree(tree_as_json(node)).children['a']
    assert (read.name, read.properties, read.acl, read.ephemeral,
            read.marks) == ('a', {'x': [1]}, ('world:anyone:r',), True,
                            frozenset(MARKS))


def test_a_top_without_a_name_is_none():
    tree = parse_json_tree('{"children": {"a": {}, "b": {"name": "b"}}}')
    assert list(tree.children) == ['a', 'b']
    assert parse_json_tree('{}').children == {}
    assert list(parse_json_tree('{"name":"x"}').children) == ['x']


def test_deep_trees():
    top = node = Node()
    for _ in range(10000):
        node.children['a'] = node = Node('a')
    text = tree_as_json(top)
    node = parse_json_tree(text)
    for _ in range(10000):
        node = node.children['a']
    assert not node.children
    assert problem('{"children":{"a":' * 10001 + '{' + '}' * 20003).endswith(
        'more than 10000 levels deep')


@pytest.mark.parametrize('text, said', [
    ('', 'line 1: expected {, but the text ends'),
    ('[]', "line 1: expected {, not '['"),
    ('{"name": "a"}\n{', 'line 2: there is more text behind the tree'),
    ('{\n"name" "a"}', "line 2: expected :, not '\"'"),
    ('{"name": "a" "acl"}', 'line 1: expected ,, not \'"\''),
    ('{\n1: 2}', 'line 2: expected a text in double quotes'),
    ('{\nname: 2}', 'line 2: Expecting value'),
    ('{"name":\n', 'line 2: Expecting value'),
    ('{"name": 1}', "line 1: name: not '', as the node is called"),
    ('{"name": "a/b"}', "line 1: the name of a node cannot contain '/'"),
    ('{"children": {"a": {"name": "b"}}}',
     "line 1: name: not 'a', as the node is called"),
    ('{"children": {"": {}}}', "line 1: '' cannot be the name of a node"),
    ('{"children": {"a": {},\n"a": {}}}', "line 2: duplicate node: 'a'"),
    ('{"children": []}', "line 1: expected {, not '['"),
    ('{"children": {"a": 1}}', "line 1: expected {, not '1'"),
    ('{"properties": []}', 'line 1: properties: expected an object'),
    ('{"properties": {"a": ' + '[' * 99999, 'a value is nested too deep'),
    ('{"acl": ["x"]}', "line 1: 'x' is not SCHEME:ID:PERMISSIONS"),
    ('{"acl": []}', 'line 1: acl: expected a list of texts'),
    ('{"acl": [1]}', 'line 1: acl: expected a list of texts'),
    ('{"ephemeral": 1}', 'line 1: ephemeral: expected true or false'),
    ('{"marks": ["x"]}', 'line 1: marks: expected a list of absent, '),
    ('{"colour": {}}', "line 1: unknown field 'colour'; known are"),
])
def test_problems(text, said):
    assert said in problem(text)


@given(st.text(alphabet='{}[]:,"ab \n1\\', max_size=30))
def test_no_text_is_more_than_an_error(text):
    try:
        parse_json_tree(text)
    except TreeError:
        pass
