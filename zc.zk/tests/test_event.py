"""Event notification with and without zope.event."""
import runpy
import sys

import pytest
import zc.zk.event


def load():
    """Return the names of a second copy of the module.

    A reload would replace the class that other modules have imported.
    """
    return runpy.run_path(zc.zk.event.__file__)


def test_zope_event_is_used_where_it_is():
    zope_event = pytest.importorskip('zope.event')
    event = load()
    assert event['notify'] is zope_event.notify
    assert event['subscribers'] is zope_event.subscribers


def test_without_zope_event(monkeypatch):
    monkeypatch.setitem(sys.modules, 'zope.event', None)
    event = load()
    notify, subscribers = event['notify'], event['subscribers']
    seen = []
    notify('to nobody')
    subscribers.append(seen.append)
    notify('to somebody')
    assert seen == ['to somebody']
    subscribers.remove(seen.append)
    assert subscribers == []
