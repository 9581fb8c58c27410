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
            ini = write_ini(tmp_path, embedded.connection_string, workers='2',
                            **options)
            text = ini.read_text().replace(
                'use = call:zc.zkzopeserver.hello:make_hello',
                'paste.app_factory ='
                ' zkzopeserver_support.locking:make_application\n'
                f'locks = {locks}')
            ini.write_text(text + more)
            program = tmp_path / 'bin' / 'launch'
            program.parent.mkdir()
            program.write_text(LAUNCH)
            return stack.enter_context(contextlib.closing(Process(
                [sys.executable, str(program), str(ini)], tmp_path,
                PYTHONPATH=os.pathsep.join(filter(None, sys.path)))))

        yield start


def test_the_parent_leaves_the_locks_to_its_workers(launch, embedded):
    process = launch(locks=2)
    nodes = registered(embedded.zk, process, count=2)
    pids = {data['pid'] for data in nodes.values()}
    assert process.pid not in pids
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
