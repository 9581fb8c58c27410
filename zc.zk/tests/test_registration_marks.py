"""Marks of servers that were withdrawn on purpose."""
import pytest
from kazoo.security import READ_ACL_UNSAFE
from kazoo.security import make_digest_acl
from zc.zk.registration.marks import read_marks
from zc.zk.testing.waiting import wait_for
from zc_zk_support.registrations import ADDRESS
from zc_zk_support.registrations import NODE
from zc_zk_support.registrations import PATH

NAME = '192.0.2.7:8080'
MARK = f'/service/withdrawn-{NAME}'


def test_a_mark_is_there_before_the_node_is_gone(zookeeper, connect,
                                                 client):
    zk, observer = connect(), client()
    seen = []

    def gone(event):
        seen.append(read_marks(observer, PATH))

    registration = zk.register(PATH, ADDRESS)
    observer.get_children(PATH, watch=gone)
    assert registration.withdraw(mark=True)
    wait_for(lambda: seen == [{NAME}])
    assert registration.state == 'withdrawn'
    assert observer.exists(MARK).ephemeralOwner == zk.client.client_id[0]


def test_a_mark_goes_with_the_restoration(zookeeper, connect, client):
    zk, observer = connect(), client()
    registration = zk.register(PATH, ADDRESS)
    registration.withdraw(mark=True)
    assert registration.restore()
    assert observer.exists(NODE)
    wait_for(lambda: not observer.exists(MARK))
    # Without one, nothing is asked for.
    registration.withdraw()
    assert registration.restore()
    assert read_marks(observer, PATH) == frozenset()


def test_a_mark_ends_with_the_session(zookeeper, connect, client):
    zk, observer = connect(), client()
    zk.register(PATH, ADDRESS).withdraw(mark=True)
    assert observer.exists(MARK)
    zk.close()
    wait_for(lambda: not observer.exists(MARK))


@pytest.mark.parametrize('acl', [
    READ_ACL_UNSAFE, [make_digest_acl('u', 'p', all=True)]])
def test_where_no_mark_may_be_left(zookeeper, connect, client, caplog, acl):
    caplog.set_level('INFO', 'zc.zk.registration')
    zk, observer = connect(), client()
    registration = zk.register(PATH, ADDRESS)
    zk.client.set_acls('/service', acl)
    assert registration.withdraw(mark=True)
    assert not zk.exists(NODE)
    wait_for(lambda: 'no mark could be left' in caplog.text)
    assert read_marks(observer, PATH) == frozenset()
    assert registration.restore()
