"""Viewers are told what changes, and nothing is read without them."""
import json
import threading

import pytest
from zc.zk.live.tree import LiveTree
from zc.zk.redaction import redact_value
from zc.zk.testing.waiting import wait_for
from zc.zk.view import feed as feeds
from zc.zk.view.feed import Feed
from zc.zk.view.feed import TooManyViewers


@pytest.fixture
def zk(connect):
    """A connection to the test's ZooKeeper."""
    return connect()


@pytest.fixture
def live(zk):
    """The tree below /service."""
    return LiveTree(zk, '/service')


@pytest.fixture
def feed(live):
    """A feed of it."""
    made = Feed(live, redact_value, 0.02)
    yield made
    made.close()


def take(feed, viewer, name):
    """Wait for an event with this name; return its data."""
    while True:
        for found, data in feed.take(viewer, 30) or ():
            if found == name:
                return json.loads(data)


def test_a_viewer_gets_the_tree_and_then_what_changes(zookeeper, zk, feed):
    viewer = feed.join()
    assert take(feed, viewer, 'tree')['tree'][0] == 'service'
    zk.client.create('/service/a')
    (kind, path, *_), = take(feed, viewer, 'events')
    assert (kind, path) == ('add node', '/service/a')


def test_nothing_is_read_while_nobody_looks(zookeeper, zk, live, feed):
    zk.client.create('/service/a')
    assert live.looks == 0
    viewer = feed.join()
    take(feed, viewer, 'tree')
    feed.leave(viewer)
    zk.client.create('/service/b')
    # A look may be under way; afterwards the thread waits.
    looks = wait_for(lambda: live.looks, 10, 'the first look')
    zk.client.create('/service/c')
    assert live.looks <= looks + 1
    # What happened meanwhile is in the tree, and is no event.
    viewer = feed.join()
    names = [child[0] for child in take(feed, viewer, 'tree')['tree'][3]]
    assert names == ['a', 'b', 'c', 'providers']
    zk.client.create('/service/d')
    assert [event[1] for event in take(feed, viewer, 'events')] == [
        '/service/d']


def test_a_slow_viewer_gets_the_tree_anew(zookeeper, zk, feed, monkeypatch):
    slow, quick = feed.join(), feed.join()
    take(feed, slow, 'tree'), take(feed, quick, 'tree')
    monkeypatch.setattr(feeds, 'MAILBOX_BYTES', 2000)
    for number in range(50):
        zk.client.create(f'/service/node-{number}')
        take(feed, quick, 'events')
    assert slow.size <= 2000
    names = [child[0] for child in take(feed, slow, 'tree')['tree'][3]]
    assert len(names) == 51
    zk.client.create('/service/last')
    assert take(feed, slow, 'events')[0][1] == '/service/last'


def test_viewers_have_a_limit(zookeeper, feed):
    viewers = [feed.join() for _ in range(feeds.MAX_VIEWERS)]
    with pytest.raises(TooManyViewers):
        feed.join()
    feed.leave(viewers[0])
    feed.join()


def test_a_close_ends_the_waits(zookeeper, live):
    feed = Feed(live, redact_value)
    viewer = feed.join()
    take(feed, viewer, 'tree')
    ended = []
    waiting = threading.Thread(
        target=lambda: ended.append(take_to_end(feed, viewer)))
    waiting.start()
    feed.close()
    waiting.join(10)
    assert ended == [None]
    assert not waiting.is_alive()


def take_to_end(feed, viewer):
    """Take until the feed is closed."""
    while (found := feed.take(viewer, 30)) is not None:
        pass
    return found


def test_an_outage_is_told(zookeeper_server, connect):
    zk = connect()
    feed = Feed(LiveTree(zk, '/service', 0.5), redact_value, 0.05)
    try:
        viewer = feed.join()
        take(feed, viewer, 'tree')
        assert take_state(feed, viewer, lambda away: away is None)
        zookeeper_server.kill()
        assert take_state(feed, viewer, lambda away: away is not None)
        zookeeper_server.start()
        assert take_state(feed, viewer, lambda away: away is None)
    finally:
        feed.close()


def take_state(feed, viewer, is_right):
    """Take states until one is right."""
    if dict(feed._last).get('state') and is_right(
            json.loads(feed._last['state'])['away']):
        return True
    while not is_right(take(feed, viewer, 'state')['away']):
        pass
    return True


def test_what_may_not_be_read_is_told(zookeeper, zk, client):
    from kazoo.security import make_digest_acl
    zk.client.create('/secret', acl=[make_digest_acl('u', 'p', all=True)])
    feed = Feed(LiveTree(zk, '/secret'), redact_value, 0.05)
    try:
        viewer = feed.join()
        told = wait_for(lambda: [
            json.loads(data)['trouble'] for name, data
            in feed._last.items() if name == 'state'], 10, 'the trouble')
        assert told[0].startswith('NoAuthError /secret')
        feed.leave(viewer)
    finally:
        feed.close()


def test_extras_are_told_when_they_are_new(zookeeper, live):
    answers = ['', '{"a": 1}', '{"a": 1}', '{"a": 2}']
    feed = Feed(live, redact_value, 0.02, extras={
        'health': lambda tree, path: answers.pop(0) if len(answers) > 1
        else answers[0]})
    try:
        viewer = feed.join()
        found = []
        while {'a': 2} not in found:
            found += [json.loads(data) for name, data
                      in feed.take(viewer, 30) or () if name == 'health']
        assert found in ([{'a': 1}, {'a': 2}], [{'a': 2}])
    finally:
        feed.close()
