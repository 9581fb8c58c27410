"""What the page is told of trees and events."""
import json

import hypothesis
import hypothesis.strategies as st
import pytest
from kazoo.protocol.states import ZnodeStat
from zc.zk.live.events import events
from zc.zk.redaction import redact_value
from zc.zk.tree import Node
from zc.zk.tree import parse_tree
from zc.zk.tree.node import UNREADABLE
from zc.zk.view.messages import events_message
from zc.zk.view.messages import shown_tree
from zc.zk.view.messages import tree_message


def read(tree, path='/top'):
    """What the page gets of a tree."""
    return json.loads(tree_message(tree, path, redact_value))


def test_a_tree():
    top = parse_tree("/top : t\n  x = 1\n  /b\n  /a\n    /c\n      y = 'z'\n"
                     ).children['top']
    assert read(top) == {'base': '/top', 'tree': [
        'top', ['/top : t', 'x = 1'], 0, [
            ['a', ['/a'], 0, [['c', ['/c', "y = 'z'"], 0, []]]],
            ['b', ['/b'], 0, []]]]}


def test_no_tree_and_the_root():
    assert read(None) == {'base': '/top', 'tree': None}
    assert read(Node('', {'x': 1}), '/') == {
        'base': '', 'tree': ['', ['/', 'x = 1'], 0, []]}


def test_flags():
    top = parse_tree('/top\n  /127.0.0.1:80\n  /127.0.0.1:81\n  /lock\n  /u\n'
                     ).children['top']
    for name in '127.0.0.1:80', 'lock':
        top.children[name].ephemeral = True
        top.children[name].stat = ZnodeStat(1, 1, 5, 5, 0, 0, 0, 0xab, 0, 0,
                                            1)
    top.children['u'].marks = frozenset({UNREADABLE})
    told = {each[0]: each[2:] for each in read(top)['tree'][3]}
    assert told == {'127.0.0.1:80': [5, [], 5, '0xab'],
                    '127.0.0.1:81': [0, []], 'lock': [1, [], 5, '0xab'],
                    'u': [2, []]}


def test_secrets_are_masked_in_all_forms():
    top = parse_tree("/top\n  password = 'hunter2'\n"
                     "  dsn = 'pg://u:hunter2@h/d'\n").children['top']
    told = tree_message(top, '/top', redact_value) + events_message(
        events(None, top, '/top'), 0, redact_value)
    assert told.count('********') == 6
    assert 'hunter2' not in told
    assert 'hunter2' not in repr(shown_tree(top, redact_value).properties)
    assert 'hunter2' in tree_message(top, '/top', lambda name, value: value)


def test_events():
    old = parse_tree('/top\n  /a\n').children['top']
    new = parse_tree('/top\n  /b\n    x = 1\n').children['top']
    told = json.loads(events_message(events(old, new, '/top'), 0,
                                     redact_value))
    assert sorted([kind, path, *rest] for kind, path, _, *rest in told) == [
        ['add node', '/top/b', ['/b', 'x = 1'], 0],
        ['delete node', '/top/a']]
    assert all('/top/' in line for _, _, line, *_ in told)
    assert events_message([], 0, redact_value) == ''


def test_long_values_are_cut():
    top = Node('top', {'x': 'y' * 10_000_000, **{
        f'p{number}': number for number in range(1000)}})
    told = tree_message(top, '/top', redact_value)
    assert len(told) < 20_000
    assert len(events_message(events(None, top, '/top'), 0, redact_value)) < (
        20_000)


def test_deep_trees():
    top = Node('a')
    for _ in range(5_000):
        top = Node('a', children={'a': top})
    told = tree_message(top, '/a', redact_value)
    assert told.count('["a",["/a"]') == 5_001
    assert told.endswith(']]' * 5_001 + '}')


@hypothesis.given(st.dictionaries(st.text(), st.one_of(
    st.text(), st.integers(), st.none(), st.lists(st.text()))))
def test_any_properties_are_lines_of_json(properties):
    _, lines, *_ = read(Node('top', properties))['tree']
    assert lines[0].startswith('/top')
    assert all(line.isprintable() or '\t' in line for line in lines)


@pytest.mark.parametrize('name', ['a b', "a'b", 'é', '<b>', '\u202ea'])
def test_names(name):
    _, lines, *_ = read(Node(name))['tree']
    assert lines[0].isprintable()
