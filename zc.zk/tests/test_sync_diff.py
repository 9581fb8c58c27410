"""Test the changes between two trees in memory."""
import json
import time

import pytest
from hypothesis import given
from zc.zk.sync.change import Change
from zc.zk.sync.diff import difference
from zc.zk.sync.diff import plan
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc.zk.tree import parse_tree
from zc_zk_support import trees

LIVE = """\
/test
  a = 1
  b = 2
  p => .. q
  ad -> /y
  ae -> /x
  /c1
    /c12
  /c2
/other
"""

WANTED = """\
/test
  a = 2
  ae -> /z
  /c1
    /c12
      a = 1
      b -> /b
      /c123
"""


def planned(wanted, live, **options):
    live = parse_tree(live) if isinstance(live, str) else live
    return [str(change) for change in plan(wanted, live, **options)]


def test_the_lines_of_a_plan():
    assert planned(WANTED, LIVE) == [
        '/test change property a from 1 to 2',
        '/test remove link ad -> /y',
        '/test change link ae from /x to /z',
        '/test remove property b = 2',
        '/test remove property link p => .. q',
        'extra path not trimmed: /test/c2',
        '/test/c1/c12 add property a = 1',
        '/test/c1/c12 add link b -> /b',
        'add /test/c1/c12/c123',
    ]


def test_trim():
    lines = planned(WANTED, LIVE, trim=True)
    assert 'delete /test/c2' in lines
    assert not any('/other' in line for line in lines)
    assert 'delete /other' in planned(WANTED, LIVE, trim=True, trim_top=True)
    assert not any('c2' in line for line in planned(
        WANTED, LIVE, trim=False))


def test_children_are_deleted_first():
    live = '/a\n  /b\n    /c\n      /d\n    /e\n'
    assert planned('/a', live, trim=True) == [
        'delete /a/b/c/d', 'delete /a/b/c', 'delete /a/b/e', 'delete /a/b']


def test_below_a_path():
    assert planned('/a\n  b = 1', Node(), path='/x/y') == ['add /x/y/a']
    assert planned('/a\n  b = 1', Node(), path='/') == ['add /a']


def test_a_whole_subtree_is_added_parents_first():
    changes = plan('/a\n  x = 1\n  /b\n    /c\n/d\n', Node())
    assert [change.path for change in changes] == [
        '/a', '/a/b', '/a/b/c', '/d']
    assert changes[0].properties == {'x': 1}


@pytest.mark.parametrize('old, new', [
    ('1', 'True'), ('1', '1.0'), ('0', 'False'), ('[1]', '[True]'),
    ("{'a': 0}", "{'a': False}"), ('None', 'False'), ("'1'", '1'),
])
def test_what_json_tells_apart_is_a_change(old, new):
    assert planned(f'/a\n  x = {new}', f'/a\n  x = {old}') == [
        f'/a change property x from {old} to {new}']


@pytest.mark.parametrize('old, new', [
    ('nan', 'NaN'), ('(1, 2)', '[1, 2]'), ("{'a': 1, 'b': 2}",
                                           "{'b': 2, 'a': 1}"), ('1L', '1'),
])
def test_what_json_does_not_tell_apart_is_none(old, new):
    assert planned(f'/a\n  x = {new}', f'/a\n  x = {old}') == []


def test_changes_carry_all_properties_and_the_version():
    live = Node(children={'a': Node('a', {'x': 1, 'y': 2}, version=7)})
    [change] = plan('/a\n  x = 1\n  y = 3\n', live)
    assert change == Change('change property', '/a', 'y', 2, 3,
                            {'x': 1, 'y': 3}, None, 7)
    assert not change.is_note


def live_with_ephemerals():
    tree = parse_tree('/a\n  /p\n    /e\n  /q\n    /r\n      /e\n    /s\n')
    a = tree.children['a'].children
    a['p'].children['e'].ephemeral = True
    a['q'].children['r'].children['e'].ephemeral = True
    return tree


def test_ephemeral_nodes_are_left_alone():
    live = live_with_ephemerals()
    assert planned('/a\n  /p\n  /q\n    /r\n    /s\n', live, trim=True) == []
    assert planned('/a\n  /p\n', live, trim=True) == [
        'left alone, as it is ephemeral: /a/q/r/e',
        'not deleted, as there are ephemeral nodes below: /a/q/r',
        'delete /a/q/s',
        'not deleted, as there are ephemeral nodes below: /a/q',
    ]
    assert planned('/a\n  /p\n    /e\n      x = 1\n', live, trim=False) == [
        'left alone, as it is ephemeral: /a/p/e']
    assert planned('/a\n  /p\n    /e\n', live, trim=False) == []


def test_ephemeral_nodes_when_forced():
    live = live_with_ephemerals()
    assert planned('/a\n  /p\n', live, trim=True, force=True) == [
        'delete /a/q/r/e', 'delete /a/q/r', 'delete /a/q/s', 'delete /a/q',
        'delete /a/p/e']
    assert planned('/a\n  /p\n    /e\n      x = 1\n', live, trim=False,
                   force=True) == ['/a/p/e add property x = 1']


def test_nodes_that_are_marked_as_ephemeral_are_skipped():
    live = live_with_ephemerals()
    text = '/a\n  /p\n    /e\n      [ ephemeral ]\n      x = 1\n  /q\n' \
           '    /dead\n      [ ephemeral ]\n    /r\n    /s\n'
    assert planned(text, live, trim=True) == []
    assert planned(text, live, trim=False, force=True) == [
        '/a/p/e add property x = 1']
    dead = Node('dead', {'x': 2})
    live.children['a'].children['q'].children['dead'] = dead
    assert planned(text, live, trim=True) == []
    wanted = parse_tree(text)
    assert difference(wanted, live) == []
    assert list(map(str, difference(wanted, live, ephemeral=True))) == [
        '/a/p/e add property x = 1', '/a/q/dead remove property x = 2',
        'delete /a/q/r/e']


def test_nodes_that_are_to_be_absent():
    live = parse_tree('/a\n  /b\n/c\n  /d\n')
    text = '/a\n  [ absent ]\n/c\n  /d\n    [ absent ]\n/e\n  [ absent ]\n'
    assert planned(text, live, trim=True) == [
        'delete /a/b', 'delete /a', 'delete /c/d']
    assert planned(text, live) == [
        'extra path not trimmed: /a', 'extra path not trimmed: /c/d']
    assert planned(text, live, trim=False) == []
    live.children['a'].children['b'].ephemeral = True
    assert planned(text, live, trim=True) == [
        'left alone, as it is ephemeral: /a/b',
        'not deleted, as there are ephemeral nodes below: /a', 'delete /c/d']


def test_nodes_that_may_not_be_read():
    live = parse_tree('/a\n  /b\n    /c\n      [ unreadable ]\n  /d\n'
                      '    [ unreadable ]\n')
    text = '/a\n  /d\n    x = 1\n'
    assert planned(text, live, trim=True) == [
        'left alone, as we may not read it: /a/b/c',
        'not deleted, as there are nodes below that we may not read: /a/b',
        'left alone, as we may not read it: /a/d']
    wanted = parse_tree(text)
    assert list(map(str, difference(wanted, live, skip_unreadable=True))) == []
    del live.children['a'].children['d']
    assert list(map(str, difference(wanted, live))) == [
        'delete /a/b/c', 'delete /a/b', 'add /a/d']
    assert planned('/a\n  /x\n    [ unreadable ]\n    /y\n', live,
                   trim=False) == []


def test_lists_with_an_entry_twice():
    """ZooKeeper stores each entry once."""
    live = Node(children={'a': Node('a', acl=('world:anyone:r',))})
    text = "/a\n  [ acl ] = ['world:anyone:r', 'world:anyone:r']\n"
    assert planned(text, live) == []


def test_access_control_lists():
    live = Node(children={'a': Node('a', acl=('world:anyone:cdrwa',))})
    reading = ('world:anyone:r',)
    assert planned('/a\n/b\n', live) == ['add /b']
    changes = plan('/a\n/b\n', live, acl=reading)
    assert [str(change) for change in changes] == [
        '/a change ACL from world:anyone:cdrwa to world:anyone:r', 'add /b']
    assert changes[1].acl == reading
    own = "/a\n  [ acl ] = ['ip:::1:r', 'world:anyone:cdrwa']\n"
    assert planned(own, live, acl=reading) == [
        '/a change ACL from world:anyone:cdrwa to ip:::1:r,'
        ' world:anyone:cdrwa']
    live.children['a'].acl = ('world:anyone:cdrwa', 'ip:::1:r')
    assert planned(own, live) == []


def test_odd_names_and_values_are_quoted():
    live = Node(children={'a': Node('a')})
    wanted = Node(children={'a': Node('a', {
        'x\x1b[1m': '\x1b', 'l\n ->': '/a\nb'})})
    assert [str(change) for change in plan(wanted, live)] == [
        r"/a add link 'l\n' -> '/a\nb'",
        r"/a add property 'x\x1b[1m' = '\x1b'"]


def test_changes_as_json():
    changes = plan(WANTED, parse_tree(LIVE), trim=True)
    told = json.loads(json.dumps([change.as_json() for change in changes]))
    assert told[0] == {'kind': 'change property', 'path': '/test',
                       'name': 'a', 'old': 1, 'new': 2}
    assert told[-1] == {'kind': 'add node', 'path': '/test/c1/c12/c123',
                        'properties': {}}
    assert {'kind': 'delete node', 'path': '/test/c2'} in told


def test_difference_is_about_the_whole_tree():
    old = Node('x', {'a': 1}, parse_tree('/b\n/c\n').children)
    new = Node('y', {'a': 2}, parse_tree('/b\n/d\n').children)
    assert [str(change) for change in difference(new, old, '/x')] == [
        '/x change property a from 1 to 2', 'delete /x/c', 'add /x/d']
    assert difference(new, new, '/y') == []


def test_difference_does_not_count_ephemeral_nodes():
    live = live_with_ephemerals()
    wanted = parse_tree('/a\n  /p\n')
    assert [str(change) for change in difference(wanted, live)] == [
        'delete /a/q/r', 'delete /a/q/s', 'delete /a/q']
    wanted = parse_tree(format_tree(live, ephemeral=False))
    assert difference(wanted, live) == []
    assert difference(live, wanted) == []
    assert [str(change) for change in difference(
        wanted, live, ephemeral=True)] == ['delete /a/p/e', 'delete /a/q/r/e']


@given(trees.nodes())
def test_a_tree_is_like_itself(tree):
    text = format_tree(tree)
    assert plan(text, tree, trim=True, trim_top=True) == []


@given(trees.nodes(), trees.nodes())
def test_a_made_plan_makes_the_trees_the_same(wanted, live):
    for change in plan(wanted, live, trim=True, trim_top=True):
        make(change, live)
    without_acls(wanted)
    without_acls(live)
    assert trees.comparable(live) == trees.comparable(wanted)


def make(change, tree):
    """Change a tree in memory as ZooKeeper would."""
    *parents, name = change.path[1:].split('/')
    for parent in parents:
        tree = tree.children[parent]
    if change.kind == 'add node':
        tree.children[name] = Node(name, change.properties)
    elif change.kind == 'delete node':
        assert not tree.children.pop(name).children
    elif change.kind != 'change acl':
        tree.children[name].properties = change.properties


def without_acls(tree):
    tree.acl = None
    for child in tree.children.values():
        without_acls(child)


def test_deep_trees():
    deep = format_tree(chain(900))
    assert plan(deep, parse_tree(deep), trim=True) == []
    assert len(plan('/a', chain(900), trim=True)) == 899
    assert len(plan(deep, Node())) == 900


def chain(depth):
    top = node = Node()
    for _ in range(depth):
        node.children['a'] = node = Node('a')
    return top


def test_large_trees_are_planned_quickly():
    def tree(threads):
        return Node(children={
            str(top): Node(str(top), {'threads': threads}, {
                f'10.0.0.{number}:80': Node(f'10.0.0.{number}:80', {
                    'pid': number, 'monitor': f'10.0.0.{number}:81'})
                for number in range(100)})
            for top in range(500)})

    live = tree(4)
    for wanted, count in ((tree(4), 0), (tree(5), 500)):
        start = time.process_time()
        assert len(plan(wanted, live, trim=True)) == count
        # A quarter of 200,000 nodes, which may take 2 s.
        assert time.process_time() - start < 1
