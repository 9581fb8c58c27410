"""Test that the import of a backup makes the tree what it was."""
import contextlib
import io
import json
import re
import sys

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from kazoo.exceptions import NoAuthError
from kazoo.security import make_acl
from kazoo.security import make_digest_acl
from kazoo.security import make_digest_acl_credential
from zc.zk.encoding import encode
from zc.zk.permissions import to_acl
from zc.zk.scripts import import_
from zc.zk.scripts import validate
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc_zk_support import trees
from zc_zk_support.trees import is_object

# kazoo's thread asks for random numbers while hypothesis draws its own.
pytestmark = pytest.mark.filterwarnings(
    'ignore:Do not use the .random. module inside strategies')

CREDENTIAL = 'user:secret'
OURS = 'digest:' + make_digest_acl_credential('user', 'secret')
OTHER = 'digest:' + make_digest_acl_credential('other', 'one')

MANY = settings(
    max_examples=settings.default.max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture,
                           HealthCheck.too_slow])


@pytest.fixture
def connection(zookeeper, client):
    """Return a client that may do anything in the trees of the tests."""
    return client(auth_data=[('digest', CREDENTIAL)], timeout=30.)


@pytest.fixture
def run(zookeeper, tmp_path):
    """Return a function that imports a tree, a text or a file."""
    auth = tmp_path / 'auth'
    auth.write_text(f'digest {CREDENTIAL}\n')
    auth.chmod(0o600)

    def call(tree, *args, path='/', status=None, anonymous=False):
        if isinstance(tree, str):
            file = tmp_path / 'tree.txt'
            file.write_bytes(tree.encode())
        else:
            file = tree
        args = [zookeeper.connection_string, str(file), path, *args]
        if not anonymous:
            args[:0] = ['--auth-file', str(auth)]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                assert import_(args) is None
                done = None
            except SystemExit as error:
                done = error.code
        assert done == status, err.getvalue()
        return err.getvalue() if status else out.getvalue()

    return call


# Trees with ACLs that let us take back what we do: DELETE for children that
# were added, ADMIN for ACLs that were changed. CREATE and WRITE may lack.


def acls(letters='rda'):
    other = st.builds(
        '{}:{}'.format,
        st.sampled_from([OTHER, 'world:anyone', 'ip:10.0.0.0/8',
                         'digest:odd name:hash=']),
        st.lists(st.sampled_from('cdrwa'), unique=True).map(''.join))
    ours = st.lists(st.sampled_from('cw'), unique=True).map(
        lambda more: f'{OURS}:{letters}{"".join(more)}')
    return st.tuples(ours, st.lists(other, max_size=2)).map(
        lambda pair: (pair[0], *pair[1]))


def some_trees():
    """Return a strategy for trees of few names, so that they overlap."""
    names = st.sampled_from(['a', 'b', 'c d', '=é'])
    node = st.builds(
        lambda properties, acl, blank: Node(
            properties=properties, acl=acl, marks=frozenset(
                blank if not properties else ())),
        st.dictionaries(st.sampled_from(['x', 'l ->', 'type']),
                        trees.values(), max_size=2),
        acls(), st.sampled_from([[], ['empty'], ['null']]))
    node = st.recursive(node, lambda inner: st.builds(
        _with_children, node, st.dictionaries(names, inner, max_size=3)),
        max_leaves=6)
    return st.dictionaries(names, node, max_size=3).map(
        lambda children: _with_children(Node(), children))


def _with_children(node, children):
    for name, child in children.items():
        child.name = name
    return Node(node.name, node.properties, children, node.acl,
                marks=node.marks)


def wipe(connection, path='/'):
    """Delete all nodes below a path, whatever their ACLs."""
    for name in connection.get_children(path):
        child = f'{path.rstrip("/")}/{name}'
        connection.set_acls(child, to_acl([f'{OURS}:cdrwa']))
        wipe(connection, child)
        connection.delete(child)


def create(connection, tree, path=''):
    """Create nodes; set their ACLs when all below them are there."""
    for name, node in tree.children.items():
        data = encode(node.properties)
        if 'empty' in node.marks:
            data = b''
        if 'null' in node.marks:
            data = None
        connection.create(f'{path}/{name}', data)
        create(connection, node, f'{path}/{name}')
        if node.acl:
            connection.set_acls(f'{path}/{name}', to_acl(node.acl))


def everything(connection, path='/'):
    """Return path, data and ACL of each node below a path.

    JSON objects are respelt: their names have no order.
    """
    found = {}
    for name in connection.get_children(path):
        child = f'{path.rstrip("/")}/{name}'
        data = connection.get(child)[0]
        if data and is_object(data):
            data = repr(sorted(json.loads(data).items()))
        found[child] = (data, sorted(
            map(repr, connection.get_acls(child)[0])))
        found |= everything(connection, child)
    return found


@MANY
@given(before=some_trees(), wanted=some_trees(), trim=st.booleans(),
       below=st.booleans(), acl=st.none() | acls('rdacw'))
def test_any_import_is_taken_back(connection, run, tmp_path, before, wanted,
                                  trim, below, acl):
    """Add, change, delete, trim, ACLs: each is undone, or was not done."""
    wipe(connection)
    path, prefix = '/', ''
    if below:
        connection.create('/top')
        path = prefix = '/top'
    create(connection, before, prefix)
    was = everything(connection)
    for node in wanted.children.values():
        if acl:  # the options' list is for nodes without their own
            node.acl = None
    backup = tmp_path / 'backup'
    backup.unlink(missing_ok=True)
    options = ['--acl=' + entry for entry in acl or ()]
    if trim:
        options.append('--trim')
    try:
        run(format_tree(wanted), '--backup', str(backup), *options, path=path)
    except AssertionError as error:
        # What an ACL forbids is refused, and the rest of it taken back.
        assert 'NoAuthError' in str(error)
    if backup.exists():
        run(backup, '--trim', path=path)
    assert everything(connection) == was
    if backup.exists():
        assert run(backup, '--trim', path=path) == '0 changes made\n'


@MANY
@given(tree=some_trees())
def test_any_tree_with_any_lists_can_be_imported(connection, run, tree):
    """Lists that forbid to create children are set when these are there."""
    wipe(connection)
    run(format_tree(tree))
    made = everything(connection)
    assert {path: entry[1] for path, entry in made.items()} == {
        path: sorted(map(repr, set(to_acl(node.acl))))
        for path, node in all_nodes(tree)}
    assert run(format_tree(tree)) == '0 changes made\n'


def all_nodes(tree, path=''):
    for name, node in tree.children.items():
        yield f'{path}/{name}', node
        yield from all_nodes(node, f'{path}/{name}')


@pytest.mark.parametrize('options, lists', [
    (['-p', '1'], ['world:anyone:r']),
    (['-p', '0'], ['world:anyone:']),
    (['--acl', f'{OTHER}:cdrwa'], [f'{OTHER}:cdrwa']),
])
def test_a_tree_that_nobody_may_add_to(zookeeper, connection, run, options,
                                       lists):
    """An anonymous import gives itself what it needs, and takes it away."""
    text = '/a\n  /b\n    /c\n  /d\n/e\n'
    assert run(text, *options, anonymous=True) == (
        'add /a\nadd /a/b\nadd /a/b/c\nadd /a/d\nadd /e\n'
        f'/a/b change ACL from {lists[0]}, world:anyone:ca to {lists[0]}\n'
        f'/a change ACL from {lists[0]}, world:anyone:ca to {lists[0]}\n'
        '7 changes made\n')
    for path in ('/a', '/a/b', '/a/b/c', '/a/d', '/e'):
        try:
            assert connection.get_acls(path)[0] == to_acl(lists)
        except NoAuthError:
            assert lists == ['world:anyone:'] or OTHER in lists[0]


def test_rights_are_added_for_authenticated_clients_alone(connection, run):
    shown = run(f"/a\n  [ acl ] = ['{OTHER}:cdrwa']\n  /b\n")
    assert shown.splitlines()[2] == (
        f'/a change ACL from {OTHER}:cdrwa, auth::ca to {OTHER}:cdrwa')


def test_an_import_that_fails_leaves_what_a_second_run_needs(
        connection, run):
    """Lists that wait are not set before all that they would forbid."""
    text = f"/a\n  [ acl ] = ['{OURS}:ra']\n" + ''.join(
        f'  /{number:04}\n' for number in range(700)) + '/b\n  x = 2\n'
    connection.create('/b', b'{"x":1}', acl=to_acl([f'{OURS}:r']))
    error = run(text, status=2)
    assert '/b: cannot set the data: NoAuthError' in error
    assert connection.get_acls('/a')[0] == to_acl([f'{OURS}:ra', f'{OURS}:ca'])
    wanted = text.replace('x = 2', 'x = 1')
    run(wanted)
    assert len(connection.get_children('/a')) == 700
    assert connection.get_acls('/a')[0] == to_acl([f'{OURS}:ra'])


def test_the_list_of_a_deleted_node_comes_back(connection, run, tmp_path):
    """The password in a node must not be open to all after a restore."""
    connection.create('/bk/a/db', b'{"password":"secret"}',
                      [make_digest_acl('user', 'secret', all=True)],
                      makepath=True)
    was = everything(connection)
    backup = tmp_path / 'backup'
    run('/bk\n  /a\n', '--trim', '--backup', str(backup))
    assert connection.exists('/bk/a/db') is None
    run(backup)
    assert everything(connection) == was


def test_new_top_nodes_go_again(connection, run, tmp_path):
    connection.create('/a')
    backup = tmp_path / 'backup'
    run('/a\n/b\n  /c\n', '--backup', str(backup))
    assert backup.read_text().endswith('/b\n  [ absent ]\n')
    assert run(backup) == (
        'extra path not trimmed: /b\n0 changes made\n')
    assert run(backup, '--no-trim') == '0 changes made\n'
    assert run(backup, '--trim') == 'delete /b/c\ndelete /b\n2 changes made\n'


def test_a_list_that_we_may_not_see_is_not_deleted(
        connection, run, tmp_path):
    hidden = make_digest_acl('user', 'secret', all=True)
    read = make_acl('world', 'anyone', read=True, create=True, delete=True)
    connection.create('/a')
    connection.create('/a/b', b'', [hidden, read])
    connection.create('/a/b/c', b'', [hidden, read])
    connection.create('/a/d', b'')
    was = everything(connection)
    backup = tmp_path / 'backup'
    error = run('/a\n', '--trim', '--backup', str(backup), status=2,
                anonymous=True)
    assert error.count('cannot be backed up: ZooKeeper hides its access') == 2
    assert error.endswith('zookeeper_import: nothing was changed\n')
    assert everything(connection) == was and not backup.exists()
    # Without a deletion nothing of it is lost, and the import goes on.
    run('/a\n  x = 1\n', '--backup', str(backup), anonymous=True)
    assert ":x:cdrwa'" in backup.read_text()
    run(backup, anonymous=True)
    assert connection.get('/a')[0] == b''


def test_nodes_that_may_not_be_read(connection, run, tmp_path):
    connection.create('/a')
    connection.create('/a/s', b'{"x":1}', [
        make_digest_acl('user', 'secret', all=True)])
    backup = tmp_path / 'backup'
    args = '--skip-unreadable', '--trim', '--backup', str(backup)
    text = '/a\n  y = 1\n  /s\n    x = 2\n'
    assert 'left alone, as we may not read it: /a/s' in run(
        text, *args, anonymous=True)
    assert backup.read_text().endswith('  /s\n    [ unreadable ]\n')
    assert run(backup, '--trim', anonymous=True) == (
        '/a remove property y = 1\n1 change made\n')
    assert connection.get('/a')[0] == b''
    assert connection.get('/a/s')[0] == b'{"x":1}'


def test_what_forced_changes_did_to_ephemeral_nodes_is_taken_back(
        connection, run, tmp_path):
    connection.create('/a')
    connection.create('/a/e', b'{"x":1}', ephemeral=True)
    connection.create('/a/f', b'{"x":1}', ephemeral=True)
    backup = tmp_path / 'backup'
    run('/a\n  /e\n    x = 2\n', '--force', '--backup', str(backup))
    assert connection.get('/a/e')[0] == b'{"x":2}'
    assert backup.read_text().count('[ ephemeral ]') == 2
    assert run(backup, '--trim') == '0 changes made\n'
    run(backup, '--trim', '--force')
    assert connection.get('/a/e')[0] == b'{"x":1}'
    assert connection.exists('/a/f')
    connection.delete('/a/e')
    assert run(backup, '--trim', '--force') == '0 changes made\n'


def test_deep_trees(connection, run, tmp_path):
    """A backup of a chain can be imported again.

    It is deeper than Python's stack, and no deeper, as the time of the test
    grows with the square.
    """
    names = ['a'] * (sys.getrecursionlimit() + 200)
    changes = [connection.transaction() for _ in range(len(names) // 100 + 1)]
    for depth in range(1, len(names) + 1):
        changes[(depth - 1) // 100].create('/' + '/'.join(names[:depth]), b'')
    for change in changes:
        assert not [result for result in change.commit()
                    if isinstance(result, Exception)]
    backup = tmp_path / 'backup'
    run('/a\n', '--trim', '--max-deletes=3000', '--backup', str(backup))
    assert connection.get_children('/a') == []
    assert validate([str(backup)]) is None
    assert run(backup, '-q') == ''
    assert connection.exists('/' + '/'.join(names))
    run('/a\n', '-qt', '--max-deletes=3000')


def test_hostile_names_in_the_first_line(connection, run, tmp_path):
    """The first line stays one line, and a comment."""
    backup = tmp_path / 'backup'
    connection.create('/a\u2028b')
    run('/c\n', '--backup', str(backup), path='/a\u2028b')
    head, rest = backup.read_text().split('\n', 1)
    assert head.startswith('# /a\\u2028b of ') and head.isprintable()
    assert re.fullmatch('/c\n  \\[ absent \\]\n', rest)
