"""Test setUp and tearDown, as other packages use them."""
import doctest
import threading
import unittest

import pytest
import zc.zk
import zc.zk.testing
from kazoo.client import KazooClient
from zc.zk.testing import doctests


@pytest.fixture(params=['embedded', 'real'])
def server(request, monkeypatch):
    """Run a test with embedded servers, then with an Apache server."""
    if request.param == 'embedded':
        monkeypatch.delenv(doctests.REAL_VARIABLE, raising=False)
        return None
    zookeeper = request.getfixturevalue('zookeeper_pool').get('apache')
    monkeypatch.setenv(doctests.REAL_VARIABLE, zookeeper.hosts)
    return zookeeper


class Example:
    """A doctest, as setUp needs it."""

    def __init__(self):
        self.globs = {}


@pytest.fixture
def case(server, no_leaks):
    test = Example()
    yield test
    zc.zk.testing.tearDown(test)
    zc.zk.testing.tearDown(test)


def run(text, **options):
    test = doctest.DocTestParser().get_doctest(text, {}, 'test', None, 0)
    zc.zk.testing.setUp(test, **options)
    try:
        # The runner would clear the globals, which tearDown needs.
        return doctest.DocTestRunner(verbose=False).run(
            test, clear_globs=False)
    finally:
        zc.zk.testing.tearDown(test)


def test_a_doctest_reaches_a_server_of_its_own(server, no_leaks):
    text = """
        >>> import zc.zk
        >>> zk = zc.zk.ZK('zookeeper.example.com:2181')
        >>> zk.print_tree('/fooservice')
        /fooservice
          database = '/databases/foomain'
          favorite_color = 'red'
          threads = 1
          /providers
        >>> zk.create('/mine')
        '/mine'
        >>> zk.close()
        """
    for _ in range(2):
        assert run(text) == (0, 5)


def test_the_tree_and_the_name_can_be_chosen(server, no_leaks):
    assert run("""
        >>> import zc.zk
        >>> with zc.zk.ZK('zk.example.com:1,zk2.example.com/a') as zk:
        ...     zk.get_children('/')
        ['b']
        """, tree='/a\n  /b\n',
        connection_string='zk.example.com:1,zk2.example.com') == (0, 2)


def test_two_names_in_one_test(case):
    zc.zk.testing.setUp(case, tree='/a')
    zc.zk.testing.setUp(case, tree='/b', connection_string='other:1')
    with zc.zk.ZK('zookeeper.example.com:2181') as zk:
        assert zk.exists('/a')
    with zc.zk.ZK('other:1') as zk:
        assert zk.exists('/b')


def test_plain_kazoo_clients_reach_it_too(case):
    zc.zk.testing.setUp(case)
    client = KazooClient(['zookeeper.example.com:2181'])
    client.start()
    assert client.exists('/fooservice')
    # tearDown is to stop it.


def test_globals(case, server):
    zc.zk.testing.setUp(case)
    assert (case.globs['ZooKeeper'] is None) == (server is not None)
    assert case.globs['wait_until'](lambda: 1)
    case.globs['assert_'](True)
    with pytest.raises(AssertionError, match='message'):
        case.globs['assert_'](False, 'message')


def test_the_real_server_is_told(server):
    assert zc.zk.testing.testing_with_real_zookeeper() == (
        server and server.hosts)


def test_assertions(capsys):
    zc.zk.testing.assert_(1)
    with pytest.raises(AssertionError, match='^odd$'):
        zc.zk.testing.assert_(0, 'odd')
    zc.zk.testing.assert_(0, 'odd', error=False)
    assert capsys.readouterr().out == 'assertion failed:  odd\n'


def test_a_tree_below_a_root(zookeeper, client):
    where = zookeeper.connection_string
    client().create('/root/old', b'', makepath=True)
    zc.zk.testing.setup_tree(None, where, '/root', True)
    with zc.zk.ZooKeeper(where) as zk:
        assert sorted(zk.get_children('/root')) == ['fooservice', 'zookeeper']
        zc.zk.testing.setup_tree('/a\n', where, '/root')
        assert zk.export_tree('/root') == '/root\n  /a\n'
        zc.zk.testing.setup_tree('/b\n', where, '/')
        assert sorted(zk.get_children('/')) == ['b', 'root']


def test_nothing_is_left(server, no_leaks, monkeypatch):
    test = Example()
    set_hosts = KazooClient.set_hosts
    before = threading.active_count()
    zc.zk.testing.setUp(test)
    zc.zk.testing.tearDown(test)
    assert KazooClient.set_hosts is set_hosts
    assert threading.active_count() == before
    if server is not None:
        with zc.zk.ZK(server.hosts) as zk:
            assert not [name for name in zk.get_children('/')
                        if name.startswith('zc.zk.testing')]


def test_a_bad_tree_leaves_nothing(server, no_leaks):
    with pytest.raises(ValueError):
        zc.zk.testing.setUp(Example(), tree='not a tree')


def test_unittest(server, no_leaks):
    class Case(unittest.TestCase):
        def setUp(self):
            zc.zk.testing.setUp(self)
            self.addCleanup(zc.zk.testing.tearDown, self)

        def test(self):
            with zc.zk.ZK('zookeeper.example.com:2181') as zk:
                self.assertEqual(zk.get_properties('/fooservice')['threads'],
                                 1)

    result = unittest.TestResult()
    Case('test').run(result)
    assert result.wasSuccessful(), result
