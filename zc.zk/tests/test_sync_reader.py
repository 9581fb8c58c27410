"""Test the reading of live trees, in bulk and one node at a time."""
import pytest
from kazoo.exceptions import ConnectionLoss
from kazoo.exceptions import MarshallingError
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import make_digest_acl
from zc.zk.encoding import encode
from zc.zk.permissions import world
from zc.zk.sync import reader
from zc.zk.sync.applier import ApplyError
from zc.zk.sync.applier import apply
from zc.zk.sync.change import DELETE_NODE
from zc.zk.sync.diff import plan
from zc.zk.sync.multiread import MultiRead
from zc.zk.sync.reader import read_tree
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc.zk.tree import parse_tree
from zc_zk_support.frames import Frames

TREE = """\
/a : t
  x = 1
  /b
    string_value = 'text'
  /c
    l -> /a
/d
"""

WIDE = 700


@pytest.fixture(params=['bulk', 'one by one'])
def way(request):
    """Return the types of requests that the server does not know."""
    return () if request.param == 'bulk' else (MultiRead.type,)


@pytest.fixture
def server(zookeeper, way):
    """Return the address of a server that is as new or old as `way` says."""
    with Frames(zookeeper.connection_string, way) as frames:
        yield frames


@pytest.fixture
def made(zookeeper, client):
    """Return a direct client, which has created a tree."""
    connection = client()
    make(connection, TREE)
    return connection


def make(client, text, path=''):
    for name, node in parse_tree(text).children.items():
        make_node(client, f'{path}/{name}', node)


def make_node(client, path, node):
    client.create(path, encode(node.properties))
    for name, child in node.children.items():
        make_node(client, f'{path}/{name}', child)


def test_a_tree(made, server, client):
    assert format_tree(read_tree(client(server))) == TREE
    assert (MultiRead.type in server.seen) and (
        (4 in server.seen) == bool(server.refused))


def test_a_part_of_a_tree(made, server, client):
    connection = client(server)
    assert format_tree(read_tree(connection, '/a/c')) == (
        '/c\n  l -> /a\n')
    assert format_tree(read_tree(connection, '/d/')) == '/d\n'


def test_what_nodes_know(made, server, client):
    made.set('/d', b'{}')
    made.create('/d/e', b'', ephemeral=True)
    tree = read_tree(client(server))
    d = tree.children['d']
    assert (d.name, d.version, d.ephemeral, d.acl) == ('d', 1, False, None)
    assert d.children['e'].ephemeral
    assert tree.children['a'].children['b'].properties == {
        'string_value': 'text'}


def test_many_children(zookeeper, made, server, client):
    transaction = made.transaction()
    for number in range(WIDE):
        transaction.create(f'/d/{number}', b'x' * 100)
    transaction.commit()
    seen = []
    tree = read_tree(client(server), progress=seen.append)
    assert len(tree.children['d'].children) == WIDE
    assert seen == sorted(seen)
    assert seen[-1] == WIDE + 5


def test_children_are_only_asked_for_where_there_are_some(
        made, server, client):
    connection = client(server)
    read_tree(connection)
    if server.refused:
        # The chroot and its four nodes, of which two have children;
        # and kazoo itself asks for the chroot.
        assert server.seen.count(4) == 5
        assert server.seen.count(8) == 2


def test_no_node(made, server, client):
    with pytest.raises(NoNodeError, match='/a/x'):
        read_tree(client(server), '/a/x')
    with pytest.raises(NoNodeError, match='/x'):
        read_tree(client(server), '/x', acl=True)


def test_a_node_that_must_not_be_read(made, server, client):
    secret = make_digest_acl('user', 'secret', all=True)
    made.create('/d/e', b'', [secret])
    with pytest.raises(NoAuthError, match=r'^/d/e \(READ\)$'):
        read_tree(client(server))
    with pytest.raises(NoAuthError, match=r'^/d/e \(READ\)$'):
        read_tree(client(server), '/d/e')
    reader = client(server, auth_data=[('digest', 'user:secret')])
    assert 'e' in read_tree(reader).children['d'].children
    reader.delete('/d/e')  # else the chroot could not be deleted


@pytest.mark.parametrize('types', [(4, 22), (8, 22)])
def test_nodes_that_vanish_are_left_out(made, server, client, types):
    gone = []

    def remove(type_):
        # The root, then its children, then the nodes below /a.
        if type_ in types:
            gone.append(type_)
            if len(gone) == 3 and made.exists('/a/c'):
                made.delete('/a/c')
                made.delete('/a/b')
                made.delete('/a')

    connection = client(server)
    server.on_request = remove
    text = format_tree(read_tree(connection))
    assert not made.exists('/a')
    assert text.endswith('/d\n')
    assert parse_tree(text)


def test_access_control_lists(made, server, client):
    reading_only = make_digest_acl('user', 'secret', read=True)
    made.set_acls('/d', [reading_only, *OPEN_ACL_UNSAFE])
    tree = read_tree(client(server), acl=True)
    assert tree.children['a'].children['b'].acl == ('world:anyone:cdrwa',)
    assert sorted(tree.children['d'].acl) == [
        f'digest:{reading_only.id.id}:r', 'world:anyone:cdrwa']


def test_hashes_that_are_hidden_are_warned_of(
        made, server, client, caplog):
    made.set_acls('/d', [make_digest_acl('user', 'secret', all=True),
                         *world(1)])
    tree = read_tree(client(server), acl=True)
    assert [record.getMessage() for record in caplog.records
            if record.name == 'zc.zk.sync'] == [
        '/d: we may not see its whole ACL']
    wanted = parse_tree(format_tree(tree))
    assert plan(wanted, tree) == []
    connection = client(server)
    for live in (Node(), parse_tree("/d\n  [ acl ] = ['world:anyone:r']")):
        with pytest.raises(ApplyError, match='^/d: .* the hash is not x.*;'
                                             ' nothing was changed$'):
            apply(connection, plan(wanted, live))
    assert connection.get_children('/') == ['a', 'd']
    reader = client(server, auth_data=[('digest', 'user:secret')])
    assert parse_tree(format_tree(read_tree(reader, acl=True)))


def test_what_data_without_properties_is(made, server, client):
    made.create('/e', b'')
    made.create('/n', None)
    made.create('/o', b'{}')
    connection = client(server)
    tree = read_tree(connection, exact=True)
    assert {name: set(node.marks) for name, node in tree.children.items()
            if node.marks} == {'e': {'empty'}, 'n': {'null'}}
    assert not any(node.marks
                   for node in read_tree(connection).children.values())
    tree.children = {name: tree.children[name] for name in 'eno'}
    for name in 'eno':
        made.delete('/' + name)
    apply(connection, plan(format_tree(tree), read_tree(connection)))
    assert [made.get('/' + name)[0] for name in 'eno'] == [b'', None, b'{}']
    apply(connection, plan('/e\n  x = 1\n', read_tree(connection)))
    apply(connection, plan(format_tree(tree), read_tree(connection)))
    assert made.get('/e')[0] == b''


def test_the_stat_of_nodes(made, server, client):
    tree = read_tree(client(server), stat=True)
    for path, node in ('/a', tree.children['a']), (
            '/a/b', tree.children['a'].children['b']):
        assert node.stat == made.get(path)[1]
    assert read_tree(client(server)).children['a'].stat is None


def test_nodes_that_may_not_be_read(made, server, client):
    for path in ('/a/b', '/d'):
        made.set_acls(path, [make_digest_acl('user', 'secret', all=True)])
    connection = client(server)
    with pytest.raises(NoAuthError) as caught:
        read_tree(connection)
    assert str(caught.value) == '/a/b (READ)\n/d (READ)'
    text = TREE.replace("    string_value = 'text'\n", '    [ unreadable ]\n'
                        ).replace('/d\n', '/d\n  [ unreadable ]\n')
    tree = read_tree(connection, skip_unreadable=True)
    assert format_tree(tree) == text
    assert format_tree(read_tree(connection, skip_unreadable=True, acl=True)
                       ).count('[ acl ]') == 2
    with pytest.raises(NoAuthError, match=r'^/d \(READ\)$'):
        read_tree(connection, '/d', skip_unreadable=True)
    # Beside what is expected they do not matter.
    assert format_tree(read_tree(connection, like=parse_tree('/a'))) == (
        text.replace('/d\n  [ unreadable ]\n', ''))


def test_only_as_many_refusals_as_an_error_names(made, server, client):
    for number in range(30):
        made.create(f'/z{number:02}', b'', [
            make_digest_acl('user', 'secret', all=True)])
    with pytest.raises(NoAuthError) as caught:
        read_tree(client(server))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21 and lines[-1] == 'and more'


def test_only_what_is_like_another_tree(made, server, client):
    connection = client(server)
    like = parse_tree('/a\n  /b\n')
    for path in ('/a/c/f', '/a/b/g', '/d/h'):
        made.ensure_path(path)

    def read(extras):
        return format_tree(read_tree(connection, like=like, extras=extras))

    assert read(True) == """\
/a : t
  x = 1
  /b
    string_value = 'text'
    /g
  /c
    l -> /a
    /f
"""
    assert read(None) == read(True).replace('    /f\n', '')
    assert '/c' not in read(False) and '/g' not in read(False)


def test_children_that_are_as_expected_are_not_asked_for(
        made, server, client):
    connection = client(server)
    like = parse_tree(TREE)
    for extras in (True, None, False):
        server.seen.clear()
        tree = read_tree(connection, like=like, extras=extras)
        assert format_tree(tree) == TREE
        if server.refused:
            # All nodes; and kazoo itself asks for the chroot.
            assert server.seen.count(4) == 5
            assert server.seen.count(8) == 0


def test_unexpected_children_are_found(made, server, client):
    connection = client(server)
    like = parse_tree('/a\n  /b\n  /x\n/d\n/y\n')
    made.create('/e')

    def names(extras):
        tree = read_tree(connection, like=like, extras=extras)
        return sorted(tree.children), sorted(tree.children['a'].children)

    # The expected number, with another name.
    assert names(True) == names(None) == (['a', 'd'], ['b', 'c'])
    assert names(False) == (['a', 'd'], ['b'])
    # More, and fewer.
    made.create('/a/x')
    assert names(True)[1] == names(None)[1] == ['b', 'c', 'x']
    assert names(False)[1] == ['b', 'x']
    for name in 'bx':
        made.delete(f'/a/{name}')
    assert names(True)[1] == names(None)[1] == ['c']
    assert names(False)[1] == []


@pytest.mark.parametrize('extras', [True, None])
def test_an_extra_node_is_found_when_an_expected_one_appears_meanwhile(
        made, server, client, extras):
    """When the parent was read, it had the expected number of children."""
    made.create('/a/x')
    made.delete('/a/b')
    connection = client(server)
    like = parse_tree('/a\n  /b\n  /c\n/d\n')
    come = []

    def progress(count):
        if count > 1 and not come:  # the root and /a
            come.append(made.create('/a/b'))

    tree = read_tree(connection, like=like, extras=extras, progress=progress)
    assert come
    assert sorted(tree.children['a'].children) == ['b', 'c', 'x']
    assert [change.path for change in plan(like, tree, trim=True)
            if change.kind == DELETE_NODE] == ['/a/x']


def test_an_equal_leaf_may_be_the_object_of_the_expected_tree(
        made, server, client):
    connection = client(server)
    like = parse_tree(TREE)
    a = like.children['a']
    tree = read_tree(connection, like=like)
    assert tree.children['a'].children['b'] is a.children['b']
    made.set('/a/b', b'others')
    tree = read_tree(connection, like=like)
    assert tree.children['a'].children['b'].version == 1
    # `like` itself is unchanged.
    read_tree(connection, like=like, acl=True)
    assert a.children['c'].acl is None
    made.create('/d/e', b'', ephemeral=True)
    like = parse_tree('/d\n  /e\n')
    assert read_tree(connection, like=like).children['d'].children[
        'e'].ephemeral


def test_the_servers_own_nodes_are_left_out(zookeeper, client):
    connection = client(zookeeper.hosts)
    assert connection.exists('/zookeeper')
    like = Node(children={'zookeeper': Node('zookeeper')})
    assert read_tree(connection, like=like).children == {}
    # Below a chroot, it is an ordinary node.
    connection = client()
    connection.create('/zookeeper')
    assert 'zookeeper' in read_tree(connection).children


def test_data_that_is_no_json(zookeeper, client, way):
    connection = client()
    data = [b'', b' ', b'\xff\xfe', b'{', b'{"a":', b'[]', b'x' * 1000]
    for number, value in enumerate(data):
        connection.create(f'/{number}', value)
    with Frames(zookeeper.connection_string, way) as frames:
        tree = read_tree(client(frames))
    for number, value in enumerate(data):
        properties = tree.children[str(number)].properties
        assert encode(properties) == value or (
            value == b'' and properties == {})


def test_answers_that_are_too_long_are_read_in_parts(
        zookeeper, client, monkeypatch):
    connection = client()
    for number in range(40):
        connection.create(f'/{number}', b'x' * 10000)
    with Frames(zookeeper.connection_string, most=25000) as frames:
        tree = read_tree(client(frames))
        assert len(tree.children) == 40
        assert 4 not in frames.seen
    # A single answer that is too long is reported, not tried without end.
    with Frames(zookeeper.connection_string, most=5000) as frames:
        monkeypatch.setattr(reader, 'MAX_LOSSES', 7)
        with pytest.raises(ConnectionLoss, match=r'/\d+: the connection was'):
            read_tree(client(frames))


def test_requests_that_a_server_finds_too_large(zookeeper, client):
    connection = client()
    for number in range(40):
        connection.create(f'/{number}', b'x')
    with Frames(zookeeper.connection_string, longest=200) as frames:
        assert len(read_tree(client(frames)).children) == 40
    with Frames(zookeeper.connection_string, longest=45) as frames:
        reader = client(frames)
        with pytest.raises(MarshallingError):
            read_tree(reader)


def test_a_connection_that_is_lost_meanwhile(made, server, client):
    reader = client(server)
    lost = []

    def lose(type_):
        if type_ in (4, 22) and len(lost) < 3:
            lost.append(type_)
            raise ConnectionError('lost')

    server.on_request = lose
    assert format_tree(read_tree(reader)) == TREE
    assert len(lost) == 3


def test_long_paths(zookeeper, client, monkeypatch):
    connection = client()
    names = [str(number) + 'x' * 300 for number in range(20)]
    for name in names:
        connection.create('/' + name)
    monkeypatch.setattr(reader, 'BATCH_BYTES', 1000)
    with Frames(zookeeper.connection_string) as frames:
        tree = read_tree(client(frames))
        assert sorted(tree.children) == sorted(names)
        assert frames.seen.count(MultiRead.type) > 6


def test_names_that_are_not_ascii(made, server, client):
    made.ensure_path('/d/\xe9 \u4e2d/\xfc')
    assert format_tree(read_tree(client(server), '/d')) == (
        "/d\n  / 'é 中'\n    /ü\n")
