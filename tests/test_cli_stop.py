"""The verb `stop`: signals, and nodes that stay."""
import io
import os
import signal

import pytest
from zkzopeserver_support.running import PATH

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import stop
from zc.zkzopeserver.cli.waiting import Progress
from zc.zkzopeserver.errors import StartError


@pytest.fixture(params=['pidfd', 'pid'])
def killing(request, monkeypatch):
    """A function: let each signal fail with an error.

    Once where the system has descriptors of processes, once where not.
    """
    def fail(error):
        def kill(*arguments):
            raise error
        if request.param == 'pid':
            monkeypatch.delattr(os, 'pidfd_open', raising=False)
            monkeypatch.setattr(os, 'kill', kill)
        elif hasattr(os, 'pidfd_open'):
            monkeypatch.setattr(signal, 'pidfd_send_signal', kill)
        else:
            pytest.skip('no descriptors of processes here')
    return fail


def ours():
    return True


def test_a_signal_to_a_process_that_has_ended(killing):
    killing(ProcessLookupError())
    assert not processes.send(os.getpid(), signal.SIGTERM, ours)


def test_a_signal_to_the_process_of_another_user(killing):
    killing(PermissionError())
    pid = os.getpid()
    with pytest.raises(StartError, match=f'not allowed to signal pid {pid}:'
                                         " it is another user's"):
        processes.send(pid, signal.SIGTERM, ours)


def test_no_signal_without_a_proof(killing):
    killing(AssertionError('signalled'))
    assert not processes.send(os.getpid(), signal.SIGTERM, lambda: False)


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
