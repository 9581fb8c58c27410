"""The verb `stop`: signals, and nodes that stay."""
import io
import os
import signal

import pytest
from zkzopeserver_support.running import PATH

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import stop
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.errors import StartError


def killing(error):
    """A function in the place of `os.kill` that raises the error."""
    def kill(pid, number):
        raise error
    return kill


def test_a_signal_to_a_process_that_has_ended(monkeypatch):
    monkeypatch.setattr(os, 'kill', killing(ProcessLookupError()))
    assert not stop.send(7, signal.SIGTERM)


def test_a_signal_to_the_process_of_another_user(monkeypatch):
    monkeypatch.setattr(os, 'kill', killing(PermissionError()))
    with pytest.raises(StartError, match='not allowed to signal pid 7: it is'
                                         " another user's"):
        stop.send(7, signal.SIGTERM)


def test_a_node_that_stays(zookeeper, tree, monkeypatch):
    """Its session should have ended long ago."""
    monkeypatch.setattr(stop, 'END_S', 0.2)
    tree.create(f'{PATH}/127.0.0.1:1', b'{"pid": 7}')
    tree.create(f'{PATH}/192.0.2.1:1', b'{"pid": 7}')
    options = option_table.parse({
        'zookeeper': zookeeper.connection_string, 'path': PATH,
        'session_timeout': '100'})
    output = io.StringIO()
    with Progress('web', output) as progress, pytest.raises(
            StartError, match='^still registered: 127.0.0.1:1$'):
        stop.wait_unregistered(Instance('web.ini'), options, {7}, progress)
    assert output.getvalue() == 'web: waiting until its session times out\n'
