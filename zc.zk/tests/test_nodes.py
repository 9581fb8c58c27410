"""Single nodes and subtrees: links, walking, deleting."""
import logging

import pytest
import zc.zk
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NoNodeError
from kazoo.security import OPEN_ACL_UNSAFE
from kazoo.security import make_acl
from kazoo.security import make_digest_acl
from zc.zk.sync.change import Change
from zc.zk.testing.waiting import wait_for
from zc_zk_support import versions


@pytest.fixture
def zk(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string, 5.) as zk:
        yield zk


def test_aliases(zk):
    assert zk.create('/a', b'1', zc.zk.OPEN_ACL_UNSAFE) == '/a'
    assert zk.exists('/a').version == 0
    assert zk.exists('/b') is None
    assert zk.get('/a')[0] == b'1'
    assert zk.set('/a', b'2', 0).version == 1
    assert zk.create('/a/n-', sequence=True) == '/a/n-0000000000'
    names, stat = zk.get_children('/a', include_data=True)
    assert names == ['n-0000000000']
    assert stat.numChildren == 1
    zk.delete('/a', recursive=True)
    assert not zk.exists('/a')


def test_get_properties(zk):
    zk.create('/a', b'{"x": 1}')
    zk.create('/b', b'text')
    assert zk.get_properties('/a') == {'x': 1}
    assert zk.get_properties('/b') == {'string_value': 'text'}
    with pytest.raises(NoNodeError):
        zk.get_properties('/c')


def test_nodes_that_are_missing_are_named(zk):
    for call in (zk.get, zk.get_children, zk.delete,
                 lambda path: zk.set(path, b''),
                 lambda path: zk.create(path + '/x')):
        with pytest.raises(NoNodeError) as info:
            call('/a/b')
        assert str(info.value) == '/a/b'


def test_a_chroot_that_is_missing_is_told(zookeeper):
    with zc.zk.ZooKeeper(zookeeper.connection_string + '/no/where') as zk:
        for call in (zk.get, zk.get_children, zk.export_tree,
                     lambda path: zk.set(path, b''),
                     lambda path: zk.create(path + 'x')):
            with pytest.raises(NoNodeError) as info:
                call('/')
            assert str(info.value) == (
                f'/ (the root of the connection, {zookeeper.chroot}/no/where,'
                ' does not exist)')


def test_create_recursive(zk):
    zk.create_recursive('/a/b/c', b'1', zc.zk.OPEN_ACL_UNSAFE)
    zk.create_recursive('/a/b/c', b'2', zc.zk.OPEN_ACL_UNSAFE)
    assert zk.get('/a/b/c')[0] == b'2'


def test_is_ephemeral(zk):
    zk.create('/a')
    zk.create('/a/b', ephemeral=True)
    assert zk.is_ephemeral('/a') is False
    assert zk.is_ephemeral('/a/b') is True
    with pytest.raises(NoNodeError):
        zk.is_ephemeral('/c')


# Links

LINKS = """
/top
  /a
    top -> /top
    loop -> /top/a/b/loop
    relative -> b/c
    /b
      top -> /top
      loop -> /top/a/loop
      up -> ../../a
      /c
        top -> /top
        loop -> /top/a/b/c/loop
        bad -> /nowhere
"""


@pytest.fixture
def links(zk):
    zk.import_tree(LINKS)


REAL_PATHS = [
    ('/', '/'),
    ('/top/a/b/c', '/top/a/b/c'),
    ('/top/a/b/c/', '/top/a/b/c'),
    ('/top/a/top/a/b/top/a/b/c/top', '/top'),
    ('/top/a/b/c/./../..', '/top/a'),
    ('/../top', '/top'),
    ('/top/a/relative', '/top/a/b/c'),
    ('/top/a/b/up/b', '/top/a/b'),
]


def test_resolve(zk, links):
    for path, real in REAL_PATHS:
        assert (path, zk.resolve(path)) == (path, real)


def test_resolve_names_the_path_that_is_not_there(zk, links):
    for path in ('/nowhere', '/top/name/more', '/top/a/x/y'):
        with pytest.raises(NoNodeError, match=f'^{path}$'):
            zk.resolve(path)


@pytest.mark.parametrize('path, said', [
    ('/top/a/b/c/bad',
     '/nowhere (by way of the link /top/a/b/c/bad -> /nowhere)'),
    ('/top/a/b/c/bad/more',
     '/nowhere/more (by way of the link /top/a/b/c/bad -> /nowhere)'),
    ('/top/a/relative/x',
     '/top/a/b/c/x (by way of the link /top/a/relative -> b/c)'),
    ('/top/a/b/up/relative/bad',
     '/nowhere (by way of the links /top/a/b/up -> ../../a,'
     ' /top/a/relative -> b/c, /top/a/b/c/bad -> /nowhere)'),
    ('/top/a/top/a/x', '/top/a/x (by way of the link /top/a/top -> /top)'),
])
def test_resolve_names_what_a_link_leads_to(zk, links, path, said):
    with pytest.raises(NoNodeError) as info:
        zk.resolve(path)
    assert str(info.value) == said


def test_link_loops(zk, links):
    for path, loop in [
            ('/top/a/b/c/loop', ('/top/a/b/c/loop', '/top/a/b/c/loop')),
            ('/top/a/loop/b', ('/top/a/loop', '/top/a/b/loop',
                               '/top/a/loop'))]:
        with pytest.raises(zc.zk.LinkLoop, match=f'circle: {path[:8]}'
                           ) as info:
            zk.resolve(path)
        assert info.value.paths == loop


def test_ln(zk):
    for path in '/a', '/a/b', '/c', '/c/d':
        zk.create(path)
    zk.ln('/a', '/c/link')
    assert zk.get_properties('/c') == {'link ->': '/a'}
    assert zk.resolve('/c/link/b') == '/a/b'
    zk.ln('/a/b', '/c/')
    assert zk.get_properties('/c') == {'link ->': '/a', 'b ->': '/a/b'}
    zk.ln('/c', '/a/b/other')
    zk.ln('/a', '/c/link/linked')  # a directory behind a link
    assert zk.get_properties('/a') == {'linked ->': '/a'}
    with pytest.raises(NoNodeError, match='/nowhere'):
        zk.ln('/a', '/nowhere/link')


def test_ln_at_the_root(zk):
    zk.create('/a')
    zk.ln('/a', '/link')
    assert zk.resolve('/link') == '/a'
    zk.ln('/a/b', '/')
    assert zk.get_properties('/') == {'link ->': '/a', 'b ->': '/a/b'}


# Walking

TREE = """
/a
  /b
    /c
  /d
"""


def test_walk(zk):
    zk.import_tree(TREE)
    zk.create('/a/b/c/e', ephemeral=True)
    assert list(zk.walk('/a')) == ['/a', '/a/b', '/a/b/c', '/a/b/c/e', '/a/d']
    assert list(zk.walk()) == ['/', *zk.walk('/a')]
    assert list(zk.walk('/nowhere')) == []


def test_walk_without_ephemeral_nodes(zk):
    zk.import_tree(TREE)
    zk.create('/a/b/c/e', ephemeral=True)
    assert list(zk.walk('/a', ephemeral=False)) == [
        '/a', '/a/b', '/a/b/c', '/a/d']


def test_walk_with_children(zk):
    zk.import_tree(TREE)
    assert list(zk.walk('/a', children=True)) == [
        ('/a', ['b', 'd']), ('/a/b', ['c']), ('/a/b/c', []), ('/a/d', [])]
    seen = []
    for path, children in zk.walk('/a', children=True):
        seen.append(path)
        if path == '/a/b':
            children.remove('c')
    assert seen == ['/a', '/a/b', '/a/d']


def test_walk_takes_any_depth(zk):
    levels = 1100
    zk.import_tree('\n'.join(' ' * level + '/a' for level in range(levels)))
    deepest = max(zk.walk('/a', ephemeral=False))
    assert deepest == '/a' * levels
    zk.delete_recursive('/a')


def test_walk_sees_what_is_deleted_meanwhile(zk):
    zk.import_tree(TREE)
    seen = []
    for path in zk.walk('/a'):
        seen.append(path)
        if path == '/a':
            zk.delete('/a/d')
    assert seen == ['/a', '/a/b', '/a/b/c']


# Deleting


def test_delete_recursive(zk):
    zk.import_tree(TREE)
    expected = [Change('delete node', path)
                for path in ('/a/b/c', '/a/b', '/a/d', '/a')]
    assert zk.delete_recursive('/a', dry_run=True) == expected
    assert list(zk.walk('/a')) == ['/a', '/a/b', '/a/b/c', '/a/d']
    assert zk.delete_recursive('/a') == expected
    assert list(zk.walk()) == ['/']
    with pytest.raises(NoNodeError, match='/a'):
        zk.delete_recursive('/a')
    with pytest.raises(ValueError, match='root'):
        zk.delete_recursive('/')


def test_delete_recursive_leaves_ephemeral_nodes(zk, caplog):
    zk.import_tree(TREE)
    zk.register('/a/b', 'x:1')
    with caplog.at_level(logging.WARNING, 'zc.zk'):
        changes = zk.delete_recursive('/a')
    assert [str(change) for change in changes if change.is_note] == [
        'left alone, as it is ephemeral: /a/b/x:1',
        'not deleted, as there are ephemeral nodes below: /a/b',
        'not deleted, as there are ephemeral nodes below: /a']
    assert caplog.messages == [str(change) for change in changes
                               if change.is_note]
    assert list(zk.walk('/a')) == ['/a', '/a/b', '/a/b/x:1']


def test_delete_recursive_of_an_ephemeral_node(zk, caplog):
    zk.create('/a')
    zk.register('/a', 'x:1')
    path = '/a/x:1'
    assert zk.delete_recursive(path, ignore_if_ephemeral=True) == []
    assert caplog.messages == []
    assert zk.delete_recursive(path) == [Change('ephemeral node', path)]
    assert zk.exists(path)
    assert zk.delete_recursive(path, force=True) == [
        Change('delete node', path)]
    assert not zk.exists(path)


def test_forced_deletion_withdraws_our_registrations(zk):
    zk.import_tree(TREE)
    registration = zk.register('/a/b', 'x:1')
    zk.delete_recursive('/a', force=True)
    wait_for(lambda: list(zk.walk()) == ['/'])
    assert registration.state == 'withdrawn'


@pytest.fixture
def closed(client):
    """A node that we may not read, with a child that we may read."""
    owner = client(auth_data=[('digest', 'user:secret')])
    mine = make_digest_acl('user', 'secret', all=True)
    owner.create('/closed', b'{"link ->": "/"}', [mine, make_acl(
        'world', 'anyone', create=True)])
    owner.create('/closed/open', b'{"a": 1}')
    yield owner
    owner.set_acls('/closed', OPEN_ACL_UNSAFE)  # for the clean-up


READS = {
    'get': lambda zk: zk.get('/closed'),
    'get_properties': lambda zk: zk.get_properties('/closed'),
    'get_children': lambda zk: zk.get_children('/closed'),
    'is_ephemeral': lambda zk: zk.is_ephemeral('/closed'),
    'walk': lambda zk: list(zk.walk('/')),
    'children': lambda zk: zk.children('/closed'),
    'properties': lambda zk: zk.properties('/closed'),
    'resolve': lambda zk: zk.resolve('/closed/link'),
    'ln': lambda zk: zk.ln('/', '/closed/link'),
    'export': lambda zk: zk.export_tree('/'),
    'diff': lambda zk: zk.plan('/closed\n', trim=True),
    'import': lambda zk: zk.import_tree('/closed\n', trim=False),
    'delete_recursive': lambda zk: zk.delete_recursive('/closed'),
}


@pytest.mark.parametrize('name', READS)
def test_a_node_that_we_may_not_read_is_named(zk, closed, name):
    with pytest.raises(NoAuthError, match=r'^/closed \(READ\)$'):
        READS[name](zk)


def test_a_node_that_we_may_not_write_is_named(zk, closed):
    with pytest.raises(NoAuthError, match=r'^/closed \(WRITE\)$'):
        zk.set('/closed', b'')


def test_exists_of_a_node_that_we_may_not_read(zookeeper, zk, closed):
    if versions.does(zookeeper, *versions.EXISTS_ASKS):
        with pytest.raises(NoAuthError, match=r'^/closed \(READ\)$'):
            zk.exists('/closed')
    else:
        assert zk.exists('/closed').numChildren == 1
    assert zk.exists('/closed/nowhere') is None


def test_a_path_may_lead_through_a_node_that_we_may_not_read(zk, closed):
    assert zk.resolve('/closed') == '/closed'
    assert zk.resolve('/closed/open') == '/closed/open'
    assert zk.properties('/closed/open') == {'a': 1}
    zk.ln('/closed/open', '/linked')
    assert zk.resolve('/linked') == '/closed/open'
    zk.create_recursive('/closed/x/y', b'z', OPEN_ACL_UNSAFE)
    assert zk.get('/closed/x/y')[0] == b'z'


def test_create_recursive_names_where_it_is_not_allowed(zk, closed):
    closed.set_acls('/closed', [make_digest_acl('user', 'secret', all=True)])
    with pytest.raises(NoAuthError, match=r'^/closed \(CREATE\)$'):
        zk.create_recursive('/closed/x/y', b'z', OPEN_ACL_UNSAFE)


def test_a_root_that_we_may_not_read(zookeeper, closed):
    where = f'{zookeeper.connection_string}/closed'
    with zc.zk.ZooKeeper(where, 5.) as zk:
        assert zk.get_properties('/open') == {'a': 1}
        registration = zk.register('/open', '192.0.2.7:80')
        assert closed.exists('/closed/open/192.0.2.7:80')
        assert registration.withdraw(30)


@pytest.mark.parametrize('call, path', [
    (lambda zk: zk.get('/'), '/'),
    (lambda zk: zk.get_children('/'), '/'),
    (lambda zk: zk.get_properties('/'), '/'),
    (lambda zk: zk.set('/', b''), '/'),
    (lambda zk: zk.create('/a', b''), '/'),
    (lambda zk: zk.children('/'), '/'),
    (lambda zk: zk.properties('/a'), '/a'),
    (lambda zk: zk.resolve('/a'), '/a'),
    (lambda zk: zk.register('/a', 'a:1'), '/a'),
])
def test_a_missing_root_of_the_connection(zookeeper, call, path):
    with zc.zk.ZooKeeper(zookeeper.connection_string + '/missing') as zk:
        with pytest.raises(NoNodeError) as info:
            call(zk)
    assert str(info.value) == (
        f'{path} (the root of the connection, {zookeeper.chroot}/missing, does'
        ' not exist)')


def test_missing_nodes_are_named(zk):
    for call, path in [(lambda: zk.get('/no'), '/no'),
                       (lambda: zk.set('/no', b''), '/no'),
                       (lambda: zk.delete('/no'), '/no'),
                       (lambda: zk.get_children('/no'), '/no'),
                       (lambda: zk.create('/no/a', b''), '/no')]:
        with pytest.raises(NoNodeError, match=f'^{path}$'):
            call()
