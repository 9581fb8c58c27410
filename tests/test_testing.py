"""`zc.zkzopeserver.testing`, which tests of users import."""
import urllib.request

import pytest
import zc.zk
from zc.zk.testing.leaks import no_leaks
from zkzopeserver_support.running import application

from zc.zkzopeserver.testing import NotServing
from zc.zkzopeserver.testing import serving


def test_serving_with_a_zookeeper_of_its_own():
    with no_leaks():
        with serving(application) as server:
            with urllib.request.urlopen(server.url + '/a') as answer:
                assert answer.read().decode().endswith(' /a')
            with zc.zk.ZooKeeper(server.zookeeper) as zk:
                assert zk.get_children(server.path) == [server.address]


def test_on_a_given_zookeeper_and_path(zookeeper):
    with serving(application, zookeeper.connection_string, '/x/y',
                 threads='2') as server:
        assert server.path == '/x/y'
    with zc.zk.ZooKeeper(zookeeper.connection_string) as zk:
        assert zk.get_children('/x/y') == []


def test_why_it_is_not_serving():
    with pytest.raises(NotServing, match="option 'port'") as caught:
        with serving(application, port='many'):
            pass
    assert caught.value.__cause__.exit_status == 2


def test_one_after_the_other_and_side_by_side():
    with serving(application) as first:
        with serving(application, first.zookeeper, '/second') as second:
            assert first.address != second.address
        with urllib.request.urlopen(first.url) as answer:
            assert answer.status == 200
    with serving(application) as third:
        assert third.address
