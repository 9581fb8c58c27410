"""Event notification with and without zope.event."""
import importlib
import sys

import pytest
import zc.zk.event


@pytest.fixture
def reloaded():
    """Reload the module after the test as well."""
    yield lambda: importlib.reload(zc.zk.event)
    importlib.reload(zc.zk.event)


def test_zope_event_is_used_where_it_is(reloaded):
    zope_event = pytest.importorskip('zope.event')
    event = reloaded()
    assert event.notify is zope_event.notify
    assert event.subscribers is zope_event.subscribers


def test_without_zope_event(reloaded, monkeypatch):
    with monkeypatch.context() as context:
        context.setitem(sys.modules, 'zope.event', None)
        event = reloaded()
        seen = []
        event.notify('to nobody')
        event.subscribers.append(seen.append)
        event.notify('to somebody')
        assert seen == ['to somebody']
        event.subscribers.remove(seen.append)
    assert event.subscribers == []
