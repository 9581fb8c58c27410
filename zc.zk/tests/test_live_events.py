"""What happened between two looks."""
import hypothesis
import hypothesis.strategies as st
import pytest
from kazoo.protocol.states import ZnodeStat
from zc.zk.live.events import events
from zc.zk.tree import Node
from zc.zk.tree import parse_tree


def tree(text, path='/top'):
    """The node at `path`, of a text that has its name for the top."""
    root = parse_tree(text)
    return root if path == '/' else root.children[path[1:]]


def stat(czxid=1, ctime=0, owner=0):
    """A Stat."""
    return ZnodeStat(czxid, czxid, ctime, ctime, 0, 0, 0, owner, 0, 0, czxid)


def told(old, new, path='/top'):
    """Kinds and paths, sorted."""
    return sorted((each.kind, each.path) for each in events(old, new, path))


@pytest.mark.parametrize('old, new, expected', [
    ('/top\n', '/top\n', []),
    ('/top\n', '/top\n  /a\n    /b\n',
     [('add node', '/top/a'), ('add node', '/top/a/b')]),
    ('/top\n  /a\n    /b\n', '/top\n',
     [('delete node', '/top/a'), ('delete node', '/top/a/b')]),
    ('/top\n  x = 1\n', '/top\n  x = 2\n', [('change property', '/top')]),
    ('/top\n  /a\n    x = 1\n', '/top\n  /a\n    y = 1\n',
     [('add property', '/top/a'), ('remove property', '/top/a')]),
    # A change of the node, and one below it.
    ('/top\n  /a\n    x = 1\n    /b\n', '/top\n  /a\n    x = 2\n',
     [('change property', '/top/a'), ('delete node', '/top/a/b')]),
])
def test_what_happened(old, new, expected):
    assert told(tree(old), tree(new)) == expected


def test_the_root():
    old = parse_tree('/a\n  x = 1\n')
    new = parse_tree('/a\n  x = 2\n/b\n')
    assert told(old, new, '/') == [('add node', '/b'),
                                   ('change property', '/a')]
    new.properties = {'y': 1}
    assert ('add property', '/') in told(old, new, '/')


def test_the_top_comes_and_goes():
    whole = tree('/top\n  /a\n')
    for path in '/top', '/x/top':
        assert told(None, whole, path) == [
            ('add node', path), ('add node', f'{path}/a')]
        assert told(whole, None, path) == [
            ('delete node', path), ('delete node', f'{path}/a')]
    assert told(None, None) == []


def test_ephemeral_nodes_come_and_go():
    old, new = tree('/top\n'), tree('/top\n  /a\n')
    new.children['a'].ephemeral = True
    new.children['a'].stat = stat(owner=17, ctime=5000)
    event, = events(old, new, '/top')
    assert (event.kind, event.session) == ('add node', 17)
    assert event.age_s(7.5) == 2.5
    assert event.age_s(1.0) == 0
    event, = events(new, old, '/top')
    assert (event.kind, event.session) == ('delete node', 17)
    assert event.age_s(7.5) == 2.5


def test_a_node_that_was_made_anew():
    old, new = tree('/top\n  /a\n    /b\n'), tree('/top\n  /a\n    /b\n')
    for node, czxid in ((old, 1), (new, 1)):
        node.stat = node.children['a'].stat = stat(czxid)
    old.children['a'].children['b'].stat = stat(1, owner=17)
    new.children['a'].children['b'].stat = stat(2, owner=18)
    new.children['a'].children['b'].ephemeral = True
    event, = events(old, new, '/top')
    assert (event.kind, event.path, event.session) == (
        'replace node', '/top/a/b', 18)
    assert event.change is None


@st.composite
def trees(draw, depth=3):
    """Random nodes."""
    names = draw(st.lists(st.sampled_from('abc'), unique=True, max_size=3)
                 if depth else st.just([]))
    return Node('', draw(st.dictionaries(
        st.sampled_from('xy'), st.integers(0, 2), max_size=2)), {
            name: draw(trees(depth=depth - 1)) for name in names})


def plain(node):
    """A node as nested dictionaries."""
    return node and (dict(node.properties), {
        name: plain(child) for name, child in node.children.items()})


@hypothesis.given(st.one_of(st.none(), trees()), st.one_of(st.none(), trees()))
def test_events_lead_from_one_tree_to_the_other(old, new):
    """Whoever applies them in their order, as the page does, has the new."""
    top = Node(children={} if old is None else {'top': _copy(old)})
    for event in events(old, new, '/top'):
        *above, name = event.path.split('/')[1:]
        parent = top
        for each in above:
            parent = parent.children[each]
        if event.kind == 'delete node':
            assert not parent.children.pop(name).children
        else:
            node = parent.children.setdefault(name, Node(name))
            node.properties = dict(event.node.properties)
    assert plain(top.children.get('top')) == plain(new)


def _copy(node):
    return Node(node.name, dict(node.properties), {
        name: _copy(child) for name, child in node.children.items()})
