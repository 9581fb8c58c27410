"""Hooks of real processes: when they are called, and what they may do."""
from __future__ import annotations

import os
import signal
import sys

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.running import get

HOOKS = 'zkzopeserver_support.hooking'
ALL = {'on_starting': f'{HOOKS}:starting',
       'when_registered': f'{HOOKS}:registered',
       'on_stopping': f'{HOOKS}:stopping'}


@pytest.fixture
def serve(embedded, embedded_tree, tmp_path):
    """A function: a context manager that runs a server with options."""
    def make(**options):
        ini = processes.write_ini(tmp_path, embedded.connection_string,
                                  **options)
        return processes.started(ini, HOOKED=str(tmp_path / 'hooked'))
    return make


def heard(folder):
    path = folder / 'hooked'
    return path.read_text().splitlines() if path.exists() else []


def test_when_they_are_called(serve, embedded_tree, tmp_path):
    with serve(**ALL) as process:
        address, = processes.registered(embedded_tree, process)
        wait_for(lambda: len(heard(tmp_path)) == 4, 30,
                 lambda: process.output)
        assert process.stopped() == 0
    node = f'/fooservice/providers/{address}'
    assert heard(tmp_path) == [
        f'starting {address} ()', 'ServerStarting',
        f'registered {(node,)}', 'ServerRegistered',
        'stopping withdrawn', 'ServerStopping']


def test_what_they_raise_changes_nothing(serve, embedded_tree):
    bad = f'{HOOKS}:failing {HOOKS}:leaving'
    with serve(on_starting=bad, when_registered=bad,
               on_stopping=bad) as process:
        address, = processes.registered(embedded_tree, process)
        assert get(address)[0] == 200
        wait_for(lambda: process.output.count(':leaving failed') == 2)
        assert process.stopped() == 0
        assert process.output.count(f'{HOOKS}:leaving failed') == 3
        assert process.output.count(
            f'zc.zkzopeserver.hooks {HOOKS}:failing failed') == 3
        assert process.output.count('ValueError: of a hook') == 3


def test_the_end_of_a_worker(serve, embedded_tree, tmp_path):
    with serve(workers='2', session_timeout='1000', worker_exit=(
            f'{HOOKS}:failing {HOOKS}:exited')) as process:
        nodes = processes.registered(embedded_tree, process, count=2)
        killed, other = (data['pid'] for data in nodes.values())
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: f'exited {killed} -9' in heard(tmp_path))
        wait_for(lambda: process.output.count('is registered') == 3, 30,
                 lambda: process.output)
        assert process.stopped() == 0
        assert f'exited {other} 0' in heard(tmp_path)
        assert heard(tmp_path).count('WorkerExited') == 3
        assert f'{HOOKS}:failing failed' in process.output


def test_entry_points_of_a_group(serve, embedded_tree, tmp_path):
    info = tmp_path / 'acme-1.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme\n'
                                   'Version: 1\n')
    (info / 'entry_points.txt').write_text(
        f'[acme.starting]\na = {HOOKS}:starting\nb = {HOOKS}:stopping\n')
    ini_path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    with serve(on_starting='acme.starting') as process:
        # Without the distribution.
        assert process.ended() == 2
        assert process.output.splitlines()[-1] == (
            "web: option 'on_starting': no distribution has entry points of"
            " the group 'acme.starting'; a function is named MODULE:FUNCTION")
    ini = tmp_path / 'web.ini'
    with processes.started(ini, HOOKED=str(tmp_path / 'hooked'),
                           PYTHONPATH=ini_path) as process:
        processes.registered(embedded_tree, process)
        wait_for(lambda: len(heard(tmp_path)) == 4, 30,
                 lambda: process.output)
        assert process.stopped() == 0
    assert [line.split()[0] for line in heard(tmp_path)] == [
        'starting', 'stopping', 'ServerStarting', 'ServerRegistered',
        'ServerStopping']


@pytest.mark.parametrize('name, message', [
    ('nowhere:f', "cannot load nowhere:f: ModuleNotFoundError: No module named"
                  " 'nowhere'"),
    (f'{HOOKS}:f', f'cannot load {HOOKS}:f: AttributeError: '),
    (f'{HOOKS}:NOTHING', 'None cannot be called'),
])
@pytest.mark.parametrize('option, workers', [
    ('on_starting', '1'), ('when_registered', '1'), ('on_stopping', '1'),
    ('worker_exit', '2')])
def test_what_is_not_there(serve, name, message, option, workers):
    with serve(workers=workers, **{option: name}) as process:
        assert process.ended() == 2
        assert process.output.splitlines()[-1].startswith(
            f'web: option {option!r}: {message}')
        assert 'Traceback' not in process.output


def test_check_finds_them(serve, embedded_tree, local):
    web = local(on_starting='nowhere:f')
    assert "option 'on_starting': cannot load nowhere:f" in web(
        'check', status=2)
