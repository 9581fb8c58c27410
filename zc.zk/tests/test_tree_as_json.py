"""Test trees as JSON."""
import json

from hypothesis import given
from zc.zk.tree import Node
from zc.zk.tree import parse_tree
from zc.zk.tree.as_json import tree_as_json
from zc_zk_support import trees


def test_a_tree():
    tree = parse_tree("/a : t\n  [ acl ] = ['world:anyone:r']\n  /b\n/c\n")
    tree.children['c'].ephemeral = True
    assert json.loads(tree_as_json(tree)) == {
        'name': '', 'properties': {}, 'children': {
            'a': {'name': 'a', 'acl': ['world:anyone:r'],
                  'properties': {'type': 't'}, 'children': {
                      'b': {'name': 'b', 'properties': {}, 'children': {}}}},
            'c': {'name': 'c', 'ephemeral': True, 'properties': {},
                  'children': {}}}}


@given(trees.nodes())
def test_any_tree(tree):
    assert same(json.loads(tree_as_json(tree)), tree)


def same(told, node):
    return repr(told['properties']) == repr(node.properties) and all(
        same(told['children'][name], child)
        for name, child in node.children.items())


def test_deep_trees():
    top = node = Node()
    for _ in range(3000):
        node.children['a'] = node = Node('a')
    assert tree_as_json(top).count('"children"') == 3001
