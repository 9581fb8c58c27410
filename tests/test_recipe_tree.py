"""Trees of server parts, and the recipe that collects them."""
from __future__ import annotations

import os

import pytest
from zc.zk.tree import format_tree
from zc.zk.tree import parse_tree

from zc.zkzopeserver.recipe import trees

SECTION = """
[web]
recipe = zc.zkzopeserver
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
path = /shop/web/providers
"""

TREE = """\
/shop : site
  owner = 'us'
  /web
    # where the servers are
    /providers
"""

WEB = SECTION + 'tree =\n' + ''.join(
    f'    {line}\n' for line in TREE.splitlines())
API = WEB.replace('[web]', '[api]').replace('/web', '/api')
ALL = '\n[all]\nrecipe = zc.zkzopeserver:tree\n'


def test_the_tree_of_a_part(sandbox):
    sandbox.built(WEB)
    assert sandbox.read('parts', 'web', 'tree.txt') == TREE
    script = sandbox.read('bin', 'web-tree')
    assert (f"zc.zkzopeserver.parttree.main('{sandbox.root}/parts/web/tree"
            ".txt', {'zookeeper': '127.0.0.1:2181', 'path': '/shop/web/"
            "providers'})" in script)
    sandbox.built(SECTION)
    assert os.listdir(sandbox.path('parts', 'web')) == ['web.ini']
    assert os.listdir(sandbox.path('bin')) == ['web']


def test_a_tree_in_a_file(sandbox):
    sandbox.path('shop.txt').write_text(TREE)
    sandbox.built(SECTION + 'tree = shop.txt\n')
    assert sandbox.read('parts', 'web', 'tree.txt') == TREE
    sandbox.path('shop.txt').write_text('/shop\n')
    sandbox.built()
    assert sandbox.read('parts', 'web', 'tree.txt') == '/shop\n'


@pytest.mark.parametrize('tree, words', [
    ('shop.txt', "'shop.txt' is neither a file nor a tree"),
    ('\n    /shop\n      nonsense', "option 'tree': line 2: "),
])
def test_a_wrong_tree_is_refused(sandbox, tree, words):
    assert words in sandbox.refused(SECTION + f'tree = {tree}\n')


def test_all_trees_in_one(sandbox):
    sandbox.built(WEB + API + ALL, parts='all web api')
    text = sandbox.read('parts', 'all', 'tree.txt')
    assert text == (
        "/shop : site\n  owner = 'us'\n  /api\n    /providers\n"
        '  /web\n    /providers\n')
    sandbox.built(WEB + ALL, parts='all web')
    assert '/api' not in sandbox.read('parts', 'all', 'tree.txt')
    sandbox.built(WEB, parts='web')
    assert os.listdir(sandbox.path('parts')) == ['web']


def test_some_trees_in_a_file_of_another_name(sandbox):
    sandbox.built(WEB + API + ALL + 'parts = api\nfile = operators/tree.txt\n',
                  parts='all web')
    assert '/api' in sandbox.read('operators', 'tree.txt')
    assert '/web' not in sandbox.read('operators', 'tree.txt')


@pytest.mark.parametrize('text, words', [
    (WEB + API.replace("'us'", "'them'") + ALL,
     "the parts 'web' and 'api' do not agree on 'owner' of /shop"),
    (WEB + API + ALL + 'parts = wep\n', "'wep' is not a section"),
    (WEB + API + ALL + 'parts = x\n[x]\ny = 1\n',
     "'x' is not a server of zc.zkzopeserver"),
    (WEB + API + ALL + 'part = web\n', "'part' (did you mean 'parts'?)"),
])
def test_trees_that_cannot_be_merged_are_refused(sandbox, text, words):
    assert words in sandbox.refused(text, parts='all web api')


def test_access_control_lists_are_kept():
    one = '/a\n  [ acl ] = ["world:anyone:r"]\n'
    text, problems = trees.merge({'x': one, 'y': '/a\n  b = 1\n'})
    assert problems == []
    assert format_tree(parse_tree(text)) == text
    assert 'world:anyone:r' in text
    _, problems = trees.merge({
        'x': one, 'y': one.replace(':r"', ':cdrwa"')})
    assert problems == ["the parts 'x' and 'y' do not agree on 'acl' of /a"]


def test_marks_are_kept():
    """Without its mark, a node of a server's session would be made."""
    ephemeral = '/a\n  /b\n    [ ephemeral ]\n'
    assert trees.merge({'x': ephemeral, 'y': '/a\n  /b\n'}) == (ephemeral, [])
    both = '/a\n  [ absent ]\n/b\n  [ empty ]\n'
    assert trees.merge({'x': '/a\n  [ absent ]\n',
                        'y': '/b\n  [ empty ]\n'}) == (both, [])


def test_deep_trees_are_merged():
    deep = '\n'.join('  ' * level + '/a' for level in range(1500)) + '\n'
    assert trees.merge({'x': deep, 'y': deep}) == (deep, [])
