"""Test how changes are made in transactions."""
import signal

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from kazoo.exceptions import BadVersionError
from kazoo.exceptions import InvalidACLError
from kazoo.exceptions import NoAuthError
from kazoo.exceptions import NodeExistsError
from kazoo.security import READ_ACL_UNSAFE
from kazoo.security import make_digest_acl
from zc.zk.permissions import from_acl
from zc.zk.permissions import world
from zc.zk.sync import applier
from zc.zk.sync.applier import ApplyError
from zc.zk.sync.applier import apply
from zc.zk.sync.change import Change
from zc.zk.sync.diff import plan
from zc.zk.sync.operations import BATCH_BYTES
from zc.zk.sync.operations import batches
from zc.zk.sync.operations import longest
from zc.zk.sync.operations import operations
from zc.zk.sync.reader import read_tree
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc_zk_support import trees
from zc_zk_support.frames import Frames

# kazoo's thread asks for random numbers while hypothesis draws its own.
pytestmark = pytest.mark.filterwarnings(
    'ignore:Do not use the .random. module inside strategies')

TREE = '/a\n  x = 1\n  /b\n    /c\n/d\n  y = 2\n'


@pytest.fixture
def connection(zookeeper, client):
    """Return a client that all examples of a test share."""
    connection = client()
    yield connection
    # Faster than the deletion with the chroot, one by one.
    import_(connection, '', trim=True, trim_top=True)


def many(count, size=0):
    return [Change('add node', f'/a{number:05}',
                   properties={'x': 'y' * size}) for number in range(count)]


def text_of(connection):
    return format_tree(read_tree(connection))


def import_(connection, text, **options):
    changes = plan(text, read_tree(connection), **options)
    return apply(connection, changes)


def test_from_tree_to_tree(connection):
    done = import_(connection, TREE)
    assert [str(change) for change in done] == [
        'add /a', 'add /a/b', 'add /a/b/c', 'add /d']
    assert text_of(connection) == TREE
    other = '/a\n  /b\n    z = 1\n/d\n  y = 2\n  /e\n'
    done = import_(connection, other, trim=True)
    assert len(done) == 4
    assert text_of(connection) == other
    assert import_(connection, other, trim=True) == []


def test_notes_are_nothing_to_do(connection):
    import_(connection, TREE)
    assert import_(connection, '/a\n  x = 1\n') == []


def test_data_is_set_once_for_all_properties_of_a_node(connection):
    import_(connection, TREE)
    import_(connection, '/a\n  x = 2\n  y = 3\n  z = 4\n', trim=False)
    assert connection.get('/a')[1].version == 1


def test_access_control_lists(connection):
    import_(connection, TREE)
    changes = plan("/a\n  [ acl ] = ['world:anyone:dr']\n  x = 1\n/e\n",
                   read_tree(connection, acl=True))
    done = apply(connection, changes, acl=[
        *READ_ACL_UNSAFE, make_digest_acl('user', 'secret', all=True)])
    assert [change.kind for change in done] == ['change acl', 'add node']
    assert connection.get_acls('/a')[0] == world(0b01001)
    assert len(connection.get_acls('/e')[0]) == 2


def test_what_a_new_list_allows_is_done_at_once(zookeeper, client):
    """Apache ZooKeeper checks requests in flight by the former list."""
    connection = client(auth_data=[('digest', 'user:secret')])
    allowed = ('auth::cdrwa',)
    wanted = tuple(from_acl([make_digest_acl(
        'user', 'secret', read=True, admin=True)]))
    changes = [Change('add node', '/a', properties={}, acl=wanted)]
    for number in range(30):
        changes += [
            Change('change acl', '/a', old=wanted, new=allowed),
            Change('add node', f'/a/{number}', properties={}),
            Change('change acl', '/a', old=allowed, new=wanted)]
    assert apply(connection, changes) == changes
    apply(connection, [Change('change acl', '/a', new=allowed)])


def test_progress(connection):
    seen = []
    apply(connection, many(1200), progress=seen.append)
    assert seen == [500, 1000, 1200]


def test_batches():
    sizes = [len(batch) for batch in batches(operations(many(1200), []))]
    assert sizes == [500, 500, 200]
    found = list(batches(operations(many(100, 10000), [])))
    assert len(found) == 4
    assert all(sum(len(operation.frame) for operation in batch) <= BATCH_BYTES
               for batch in found)
    small = many(3)
    large = [small[0], small[1]._replace(
        properties={'x': 'y' * 300000}), small[2]]
    assert [len(batch) for batch in batches(operations(large, []))] == [
        1, 1, 1]
    acls = [Change('change acl', path, new=('world:anyone:r',))
            for path in ('/a', '/b')]
    mixed = many(2) + acls + many(2)
    assert [len(batch) for batch in batches(operations(mixed, []))] == [
        2, 1, 1, 2]


def test_a_failure_says_how_far_it_went(connection):
    connection.create('/a00700')
    changes = many(3000)
    with pytest.raises(ApplyError) as caught:
        apply(connection, changes)
    error = caught.value
    assert isinstance(error.__cause__, NodeExistsError)
    assert error.failed == [changes[700]]
    # The transaction of the existing node failed. No batch was begun but
    # those in flight.
    assert error.done[:500] == changes[:500]
    assert all(change in error.left for change in changes[500:1000])
    assert len(error.done) + len(error.left) == 3000
    assert error.unknown == []
    names = set(connection.get_children('/'))
    assert names == {change.path[1:] for change in error.done} | {'a00700'}
    assert str(error) == (
        f'/a00700: cannot create: NodeExistsError; {len(error.done)} of 3000'
        f' changes were made, the last was: {error.done[-1]}')
    # A second run, with a new plan, makes the rest.
    wanted = Node(children={
        change.path[1:]: Node(change.path[1:], change.properties)
        for change in changes})
    apply(connection, plan(wanted, read_tree(connection)))
    assert plan(wanted, read_tree(connection), trim=True, trim_top=True) == []


def test_a_change_of_another_client_is_not_overwritten(connection):
    import_(connection, TREE)
    changes = plan('/a\n  x = 2\n/d\n  y = 3\n', read_tree(connection))
    connection.set('/d', b'{"y":7}')
    with pytest.raises(ApplyError, match='^/d: cannot set the data') as caught:
        apply(connection, changes)
    assert isinstance(caught.value.__cause__, BadVersionError)
    assert text_of(connection) == TREE.replace('y = 2', 'y = 7')


def test_what_is_not_allowed(connection):
    import_(connection, TREE)
    connection.set_acls('/d', READ_ACL_UNSAFE)
    with pytest.raises(ApplyError, match='^/d: cannot set the') as caught:
        import_(connection, '/d\n  y = 3\n')
    assert isinstance(caught.value.__cause__, NoAuthError)
    changes = plan('/d\n  y = 2\n', read_tree(connection, acl=True),
                   acl=('world:anyone:cdrwa',))
    with pytest.raises(ApplyError, match='^/d: cannot change the ACL'):
        apply(connection, changes)
    bad = [Change('change acl', '/a', old=(), new=('nonsense:x:r',))]
    with pytest.raises(ApplyError) as caught:
        apply(connection, bad)
    assert isinstance(caught.value.__cause__, InvalidACLError)


def test_data_that_is_too_large(connection):
    changes = many(1) + [
        Change('add node', f'/large{number}',
               properties={'string_value': 'x' * 2 ** 20})
        for number in range(2)]
    with pytest.raises(ApplyError) as caught:
        apply(connection, changes)
    assert str(caught.value).startswith('/large0: 1,048,')
    assert '\n/large1: ' in str(caught.value)
    assert str(caught.value).endswith('; nothing was changed')
    assert connection.get_children('/') == []


@pytest.mark.parametrize('size', [2 ** 20 - 2000, 2 ** 20 - 300])
def test_data_of_almost_a_megabyte(connection, size):
    wanted = '/a\n/b\n  string_value = "' + 'x' * size + '"\n/c\n'
    import_(connection, wanted)
    assert read_tree(connection).children['b'].properties == {
        'string_value': 'x' * size}
    assert import_(connection, wanted) == []


def test_what_fits_exactly(connection):
    """The server accepts the largest request that `apply` sends."""
    def change(size):
        return [Change('add node', '/a', acl=('world:anyone:cdrwa',),
                       properties={'string_value': 'x' * size})]

    [operation] = operations(change(1), [], connection.chroot)
    room = (longest(applier.MAX_REQUEST_BYTES) - len(operation.frame) + 1)
    with pytest.raises(ApplyError, match='are more than'):
        apply(connection, change(room + 1))
    apply(connection, change(room))
    assert len(connection.get('/a')[0]) == room


def test_values_that_json_cannot_hold(connection):
    changes = many(1) + [Change('add node', '/b', properties={'x': {1}})]
    with pytest.raises(ApplyError, match='^/b: .*; nothing was changed$'):
        apply(connection, changes)
    assert connection.get_children('/') == []


def test_a_connection_that_is_lost(zookeeper, client):
    seen = []

    def lose(type_):
        if type_ == 14:
            seen.append(type_)
            if len(seen) == 3:
                raise ConnectionError('lost')

    with Frames(zookeeper.connection_string, on_request=lose) as frames:
        connection = client(frames)
        with pytest.raises(ApplyError, match='the connection was lost'
                           ) as caught:
            apply(connection, many(5000))
        error = caught.value
        assert error.failed == []
        assert len(error.done) + len(error.unknown) + len(error.left) == 5000
        assert 500 <= len(error.unknown) <= 2000
        there = set(client().get_children('/'))
        done = {change.path[1:] for change in error.done}
        unknown = {change.path[1:] for change in error.unknown}
        assert done <= there <= done | unknown
        assert f'{len(error.unknown)} may have been made' in str(error)


def interrupted(connection, changes, at):
    """Apply, with Ctrl-C after `count` changes; return the interrupt."""
    def progress(made):
        if made == at:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        apply(connection, changes, progress=progress)
    return caught.value


@pytest.mark.parametrize('at, made', [
    (500, 2000), (1500, 3000), (3000, 3500), (3500, 3500)])
def test_an_interrupt_counts_everything_once(connection, at, made):
    changes = many(3500)
    error = interrupted(connection, changes, at)
    assert str(error) == (f'interrupted; {made} of 3500 changes were made,'
                          f' the last was: {changes[made - 1]}')
    assert error.__cause__ is None
    assert len(connection.get_children('/')) == made


@pytest.mark.parametrize('refused', [0, 700])
def test_an_interrupt_does_not_hide_what_was_refused(connection, refused):
    """The refusal came before the interrupt, or was in flight."""
    connection.create(f'/a{refused:05}')
    error = interrupted(connection, many(3000), 500)
    assert str(error).startswith(
        f'/a{refused:05}: cannot create: NodeExistsError; interrupted;'
        ' 1500 of 3000 changes were made, the last was: add /a01999')
    assert isinstance(error.__cause__, NodeExistsError)
    assert len(connection.get_children('/')) == 1501


def test_what_an_interrupt_finds_being_sent_may_have_been_made(
        connection, monkeypatch):
    sent = []

    def send(client, batch):
        sent.append(real(client, batch))
        if len(sent) == 3:
            signal.raise_signal(signal.SIGINT)
        return sent[-1]

    real = applier.send
    monkeypatch.setattr(applier, 'send', send)
    changes = many(3000)
    with pytest.raises(KeyboardInterrupt) as caught:
        apply(connection, changes)
    assert str(caught.value) == (
        'interrupted; 1000 of 3000 changes were made, the last was:'
        f' {changes[999]}; 500 may have been made, from: {changes[1000]}')
    sent[-1].get(10)


@settings(max_examples=settings.default.max_examples // 3,
          suppress_health_check=[HealthCheck.function_scoped_fixture,
                                 HealthCheck.too_slow])
@given(trees.nodes())
def test_any_tree_comes_back(connection, tree):
    for node in below(tree):
        node.acl = None
    wanted = format_tree(tree)
    import_(connection, wanted, trim=True, trim_top=True)
    assert text_of(connection) == wanted


@settings(max_examples=settings.default.max_examples // 2,
          suppress_health_check=[HealthCheck.function_scoped_fixture,
                                 HealthCheck.too_slow])
@given(trees.data())
def test_any_data_comes_back(connection, data):
    """An import of an export exports the same text and the same data."""
    connection.ensure_path('/one')
    connection.set('/one', data)
    text = format_tree(read_tree(connection, '/one'))
    if connection.exists('/two'):
        connection.delete('/two')
    import_(connection, text.replace('/one', '/two', 1))
    assert format_tree(read_tree(connection, '/two'), name='one') == text
    if not trees.is_object(data) and data:
        assert connection.get('/two')[0] == data


def below(tree):
    for child in tree.children.values():
        yield child
        yield from below(child)
