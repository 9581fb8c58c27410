"""Observers: which of them get events, and what is left of them."""
import threading

import pytest
from kazoo.protocol.states import EventType
from zc.zk.connection.requests import Requests
from zc.zk.testing.waiting import wait_for
from zc.zk.watch.dispatcher import WatchDispatcher
from zc.zk.watch.properties import Properties
from zc.zk.watch.views import Children


@pytest.fixture
def dispatcher(zookeeper, client):
    """A dispatcher on a connection of its own."""
    kazoo = client()
    requests = Requests(kazoo)
    dispatcher = WatchDispatcher(kazoo, requests)
    yield dispatcher
    dispatcher.close()
    requests.close()
    dispatcher.join(10)


def test_many_short_lived_views_leave_nothing_behind(dispatcher):
    kazoo = dispatcher.client
    kazoo.create('/test')
    for _ in range(50):
        Children(dispatcher, '/test')
        Properties(dispatcher, '/test', True, kazoo.set)
    assert not dispatcher.observers()
    # kazoo has no public way to count its watchers.
    watchers = kazoo._child_watchers, kazoo._data_watchers
    assert sum(len(watchers) for paths in watchers
               for watchers in paths.values()) <= 2


class Observer:
    """An observer that keeps the events that it gets."""

    def __init__(self):
        self.events = []
        self.threads = set()

    def refresh(self):
        self.events.append('refresh')

    def node_changed(self, event):
        self.events.append((event.type, event.path))
        self.threads.add(threading.current_thread().name)


def test_events_come_in_the_thread_of_the_dispatcher(dispatcher):
    observer, other = Observer(), Observer()
    dispatcher.add('/a', observer)
    dispatcher.add('/b', other)
    assert dispatcher.exists('/a', True) is None
    dispatcher.client.create('/a')
    wait_for(lambda: observer.events == [(EventType.CREATED, '/a')])
    assert observer.threads == {'zc.zk watches'}
    assert other.events == []


def test_discarded_observers_get_no_events(dispatcher):
    observer, other = Observer(), Observer()
    dispatcher.add('/a', observer)
    dispatcher.add('/a', other)
    dispatcher.discard(['/a', '/unknown'], observer)
    assert dispatcher.observers() == {other}
    dispatcher.exists('/a', True)
    dispatcher.client.create('/a')
    wait_for(lambda: other.events)
    assert observer.events == []


def test_observers_are_refreshed_after_a_lost_session(
        zookeeper, dispatcher):
    observer = Observer()
    dispatcher.add('/a', observer)
    zookeeper.expire(dispatcher.client)
    wait_for(lambda: 'refresh' in observer.events)
