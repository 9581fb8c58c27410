"""Conditions on a tree."""
import pytest
from zc.zk.live.until import node_count
from zc.zk.live.until import read_condition
from zc.zk.live.until import server_count
from zc.zk.tree import Node
from zc.zk.tree import parse_tree


@pytest.fixture
def node():
    """A service with two servers, and an ephemeral node that is none."""
    top = parse_tree('''/top
  title = 'a and b'
  threads = 4
  flag = True
  /providers
    /127.0.0.1:80
    /web.example.com:8080
    /[::1]:80
    /lock-1
''').children['top']
    providers = top.children['providers'].children
    for name in '127.0.0.1:80', 'web.example.com:8080', 'lock-1':
        providers[name].ephemeral = True
    return top


@pytest.mark.parametrize('expression, is_met', [
    ('2 servers', True), ('3 servers', False), ('no servers', False),
    ('0 servers', False), ('>= 2 servers', True), ('>=3 servers', False),
    ('> 1 server', True), ('< 3 servers', True), ('<=1 servers', False),
    ('!= 2 servers', False), ('= 2 servers', True), ('== 2 servers', True),
    ('5 nodes', True), ('no nodes', False), ('> 4 nodes', True),
    ('exists', True), ('absent', False),
    ('threads = 4', True), ('threads == 4', True), ('threads = 4.0', False),
    ('flag = True', True), ('flag = 1', False), ('threads = 5', False),
    ("nosuch = 'x'", False), ('2 servers and exists', True),
    ('2 servers and absent', False), (' 2  servers  and  threads = 4 ', True),
])
def test_conditions(node, expression, is_met):
    assert read_condition(expression)(node) is is_met


@pytest.mark.parametrize('expression, is_met', [
    ('absent', True), ('exists', False), ('no servers', True),
    ('no nodes', True), ('1 server', False), ('threads = 4', False)])
def test_conditions_on_no_node(expression, is_met):
    assert read_condition(expression)(None) is is_met


@pytest.mark.parametrize('expression', [
    '', '3', 'servers', 'three servers', '3 server s', '-1 servers',
    '3 servers or absent', '1234567890 servers', 'x = ', 'x = (', 'x = y',
    '=> 3 servers', '3 servers and', 'and', 'Exists'])
def test_other_texts(expression):
    with pytest.raises(ValueError, match='is no '):
        read_condition(expression)


def test_counts(node):
    assert (server_count(node), node_count(node)) == (2, 5)
    assert (server_count(None), node_count(None)) == (0, 0)
    deep = Node()
    for _ in range(20_000):
        deep = Node(children={'a': deep})
    assert node_count(deep) == 20_000
