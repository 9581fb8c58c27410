"""Launchers that load the application before they call the server.

As pserve and runwsgi do, which ``tests/apps`` runs.
"""
import contextlib
import os
import signal
import sys

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import LOGGING
from zkzopeserver_support.processes import Process
from zkzopeserver_support.processes import gone
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get

from zc.zkzopeserver.cli.processes import lives

# What they come to.  Each says when it ends as usual, and not otherwise.
LAUNCH = '''
import atexit, logging, sys
from paste.deploy import loadapp, loadserver
atexit.register(print, 'the exit functions have run', flush=True)
logging.basicConfig(level=logging.WARNING)
uri = 'config:' + sys.argv[1]
server = loadserver(uri)
application = loadapp(uri)
server(application)
print('the server has returned', flush=True)
'''


@pytest.fixture
def launch(embedded, tmp_path):
    """A function: launch an ini with options of its server and locks."""
    with contextlib.ExitStack() as stack:
        def start(locks, more='', **options):
            ini = write_ini(tmp_path, embedded.connection_string,
                            **{'workers': '2', **options})
            text = ini.read_text().replace(
                'use = call:zc.zkzopeserver.hello:make_hello',
                'paste.app_factory ='
                ' zkzopeserver_support.locking:make_application\n'
                f'locks = {locks}')
            ini.write_text(text + more)
            program = tmp_path / 'bin' / 'launch'
            program.parent.mkdir(exist_ok=True)
            program.write_text(LAUNCH)
            return stack.enter_context(contextlib.closing(Process(
                [sys.executable, str(program), str(ini)], tmp_path,
                PYTHONPATH=os.pathsep.join(filter(None, sys.path)))))

        yield start


def test_the_parent_leaves_the_locks_to_its_workers(launch, embedded):
    process = launch(locks=2)
    nodes = registered(embedded.zk, process, count=2)
    assert process.pid not in pids(nodes)
    for address, data in nodes.items():
        assert get(address)[1] == f'{data["pid"]} True '
    # The same process, with another program, which has left the application.
    assert process.output.count('the exit functions have run') == 1
    wait_for(lambda: 'INFO zc.zkzopeserver.workers all 2 workers are'
             in process.output)
    assert process.stopped() == 0
    # Only in the two workers.
    assert process.output.count('the server has returned') == 2
    gone(embedded.zk)


def pids(nodes):
    return {data['pid'] for data in nodes.values()}


@pytest.mark.parametrize('workers', [1, 2])
def test_what_killed_processes_have_left_is_ended(
        launch, embedded, tmp_path, workers):
    options = {'session_timeout': '60000', 'workers': str(workers),
               'session_file': '%(here)s/web.session'}
    first = launch(9, **options)
    old = pids(registered(embedded.zk, first, count=workers))
    keys = tmp_path / 'web.session'
    assert keys.stat().st_mode & 0o777 == 0o600
    for pid in {first.pid, *old}:
        os.kill(pid, signal.SIGKILL)
    assert len(embedded.zk.get_children(PATH)) == workers
    second = launch(9, **options)
    wait_for(lambda: len(embedded.zk.get_children(PATH)) == workers
             and not pids(registered(embedded.zk, second,
                                     count=workers)) & old, 30,
             lambda: second.output)
    assert second.stopped() == 0
    gone(embedded.zk)
    assert not keys.exists()


def test_another_parent_takes_the_workers_over(launch, embedded, tmp_path):
    options = {'session_file': '%(here)s/web.session', 'orphan_timeout': '600',
               'session_timeout': '60000'}
    first = launch(9, **options)
    old = pids(registered(embedded.zk, first, count=2))
    wait_for(lambda: 'all 2 workers are registered' in first.output)
    first.close()
    second = launch(9, **options)
    wait_for(lambda: not any(map(lives, old)), 60, lambda: second.output)
    assert 'took over 2 workers' in second.output
    wait_for(lambda: not pids(registered(embedded.zk, second, count=2)) & old)
    assert second.stopped() == 0
    gone(embedded.zk)
    assert not (tmp_path / 'web.session').exists()


def test_a_roll_under_a_launcher(launch, embedded):
    process = launch(locks=3)
    before = registered(embedded.zk, process, count=2)
    process.insist(signal.SIGHUP, 'rolling restart done')
    assert before.keys().isdisjoint(registered(embedded.zk, process, count=2))
    assert process.stopped() == 0


def test_the_parent_logs_as_the_ini_says(launch, embedded, tmp_path):
    process = launch(2, LOGGING)
    registered(embedded.zk, process, count=2)
    # The parent hears of it a moment after ZooKeeper.
    wait_for(lambda: f'{process.pid} all 2 workers are registered\n'
             in (tmp_path / 'event.log').read_text())
    assert process.stopped() == 0
    assert ' INFO ' not in process.output


def test_loggers_that_are_wrong_are_told_in_one_line(launch):
    process = launch(2, LOGGING.replace('FileHandler', 'NoSuchHandler'))
    assert process.ended() == 2
    assert process.output.splitlines()[-1].startswith(
        '[loggers] of web.ini: ')
    assert 'Traceback' not in process.output


def test_the_current_folder_is_not_imported_from(launch, embedded, tmp_path,
                                                 monkeypatch):
    """It may be anybody's, as /tmp."""
    (tmp_path / 'json.py').write_text('raise SystemExit("not this one")')
    monkeypatch.chdir(tmp_path)
    process = launch(2)
    registered(embedded.zk, process, count=2)
    assert process.stopped() == 0
    assert embedded.zk.get_children(PATH) == []
