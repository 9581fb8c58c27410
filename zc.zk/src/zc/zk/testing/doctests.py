"""`setUp` and `tearDown` for tests that connect to an example name.

A doctest connects to ``zookeeper.example.com:2181`` and reaches a server of
its own. The name works for kazoo clients that this process creates between
setUp and tearDown. It is never resolved.
"""
import contextlib
import os
import uuid
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

from kazoo.client import KazooClient
from zc.zk.client import ZooKeeper
from zc.zk.embedded import Server
from zc.zk.testing.waiting import wait_for

#: The environment variable with the connection string of a real server.
REAL_VARIABLE = 'TEST_ZOOKEEPER_CONNECTION'

CONNECTION_STRING = 'zookeeper.example.com:2181'

TREE = """
/fooservice
  /providers
  database = '/databases/foomain'
  threads = 1
  favorite_color = 'red'
"""

# The global variable of a test with what `tearDown` is to undo.
_STACK = '__zc_zk_testing__'


def setUp(test: Any, tree: str | None = None,
          connection_string: str = CONNECTION_STRING) -> None:
    """Give a test a ZooKeeper server of its own.

    `test`
        A doctest or a ``unittest.TestCase``.
    `tree`
        The tree, as text, of the server when the test begins. The default is
        the tree of zc.zk's examples.
    `connection_string`
        The connection string that the test uses, to which it may append a
        path.

    The test gets these as global variables (a TestCase as attributes):

    ``ZooKeeper``
        The embedded server, None for a real server.
    ``wait_until``
        A function that waits until a function returns something true.
    ``assert_``
        A function that raises AssertionError unless its argument is true.

    The environment variable TEST_ZOOKEEPER_CONNECTION can have the connection
    string of a real server. The test then uses that server, below a node that
    `tearDown` deletes.
    """
    globs = _globs(test)
    stack = globs.setdefault(_STACK, contextlib.ExitStack())
    try:
        real = testing_with_real_zookeeper()
        server = None
        if real:
            target = stack.enter_context(_node(real))
        else:
            server = stack.enter_context(Server())
            target = server.connection_string
        with ZooKeeper(target) as zk:
            zk.import_tree(TREE if tree is None else tree)
        stack.enter_context(redirected(connection_string, target))
    except BaseException:
        tearDown(test)
        raise
    globs['ZooKeeper'] = server
    globs['wait_until'] = wait_for
    globs.setdefault('assert_', assert_)


def tearDown(test: Any) -> None:
    """Undo `setUp`; close clients that the test left open."""
    stack = _globs(test).pop(_STACK, None)
    if stack is not None:
        stack.close()


def testing_with_real_zookeeper() -> str | None:
    """Return the connection string of the real server; None without one."""
    return os.environ.get(REAL_VARIABLE) or None


def setup_tree(tree: str | None, connection_string: str, root: str,
               zookeeper_node: bool = False) -> None:
    """Make `root` a node with the nodes of a tree, and no others, below it.

    None as `tree` is the tree of zc.zk's examples. ``/`` as `root` keeps the
    nodes that are there. `zookeeper_node` adds ``/zookeeper/quota`` below
    another root: a server's own root has it anyway.
    """
    with ZooKeeper(connection_string) as zk:
        if root != '/':
            if zk.exists(root):
                zk.delete_recursive(root, force=True)
            zk.create(root)
        zk.import_tree(TREE if tree is None else tree, root)
        if zookeeper_node and root != '/':
            zk.import_tree('/zookeeper\n  /quota\n', root)


def assert_(condition: object, message: str = '', error: bool = True) -> None:
    """Raise AssertionError with the message unless the condition is true.

    With a false `error`, print the message instead.
    """
    if not condition:
        if error:
            raise AssertionError(message)
        print('assertion failed: ', message)


@contextlib.contextmanager
def redirected(connection_string: str, target: str) -> Iterator[None]:
    """Connect kazoo clients for one connection string to another one."""
    # Every KazooClient gets its connection string here. Sockets and name
    # resolution stay as they are.
    set_hosts = KazooClient.set_hosts
    clients: weakref.WeakSet[KazooClient] = weakref.WeakSet()

    def redirect(client: KazooClient, hosts: Any, *args: Any,
                 **options: Any) -> None:
        servers, slash, chroot = (
            hosts if isinstance(hosts, str) else ','.join(hosts)
        ).partition('/')
        if servers == connection_string:
            hosts = target + slash + chroot
            clients.add(client)
        set_hosts(client, hosts, *args, **options)

    with mock.patch.object(KazooClient, 'set_hosts', redirect):
        try:
            yield
        finally:
            for client in list(clients):
                client.stop()
                client.close()


@contextlib.contextmanager
def _node(connection_string: str) -> Iterator[str]:
    """Create a node; yield its connection string; delete it at the end."""
    path = f'/zc.zk.testing-{uuid.uuid4().hex}'
    with ZooKeeper(connection_string) as zk:
        zk.create(path)
    try:
        yield connection_string.rstrip('/') + path
    finally:
        with ZooKeeper(connection_string) as zk:
            zk.delete_recursive(path, force=True)


def _globs(test: Any) -> dict[str, Any]:
    return test.globs if hasattr(test, 'globs') else vars(test)
