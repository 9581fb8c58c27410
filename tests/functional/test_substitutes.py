"""Workers that answer nobody are replaced at once, and kept until they go on.

They come back after a while, or not at all: clients do not wait for that.
"""
from __future__ import annotations

import os
import re
import signal

import psutil
import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.moody import MOODY
from zkzopeserver_support.running import PATH

from zc.zkzopeserver.cli.processes import lives

BROKEN = 'call:zkzopeserver_support.running:make_broken'


@pytest.fixture
def write(zookeeper, tmp_path, gates):
    """A function that writes the ini of a server; returns its path."""
    def write(app=f'{MOODY}\nfolder = {gates}', **options):
        return processes.write_ini(
            tmp_path, zookeeper.connection_string, app, **{
                'workers': '2', 'hung_after': '0.5', 'hung_kill_after': '600',
                'session_timeout': '60000', **options})

    return write


def names(tree):
    return set(tree.get_children(PATH))


def ready(tree, process, count=2):
    """Return the pids of the workers by their nodes, once all are known."""
    nodes = processes.registered(tree, process, count=count)
    wait_for(lambda: f'all {count} workers are registered' in process.output)
    return {name: data['pid'] for name, data in nodes.items()}


def replaced(tree, process, name):
    """Wait until another worker has taken the place of one, of two.

    The parent has to know it: one that goes on before keeps its place.
    """
    wait_for(lambda: len(names(tree)) == 2 and name not in names(tree),
             30, lambda: process.output)
    wait_for(lambda: process.output.count(' is registered (') == 3)


def hang(names, each=2):
    """Send requests that hang: a thread's, and others that wait."""
    return [processes.asking(name, '/hang') for name in names
            for _ in range(each)]


def let_go(gates, asked):
    """Let them end, each with its answer."""
    (gates / 'go').touch()
    for thread, results in asked:
        thread.join()
        assert results[0][0] == 200


def test_a_worker_that_hangs_is_replaced_and_finishes(tree, write, gates):
    with processes.started(write()) as process:
        nodes = ready(tree, process)
        hung, sound = sorted(nodes)
        asked = hang([hung])
        replaced(tree, process, hung)
        assert sound in names(tree)
        # It is kept, as it may go on.
        assert lives(nodes[hung])
        let_go(gates, asked)
        wait_for(lambda: not lives(nodes[hung]), 30,
                 lambda: process.output)
        assert re.search(rf'stopping worker {nodes[hung]} at \S+, which goes'
                         ' on', process.output)
        wait_for(lambda: len(names(tree)) == 2 and hung not in names(tree))
        assert process.stopped() == 0


def test_a_worker_that_stands_still_is_replaced(tree, write):
    with processes.started(write()) as process:
        nodes = ready(tree, process)
        name, other = sorted(nodes)
        os.kill(nodes[name], signal.SIGSTOP)
        replaced(tree, process, name)
        assert other in names(tree)
        now = names(tree)
        os.kill(nodes[name], signal.SIGCONT)
        wait_for(lambda: not lives(nodes[name]), 30,
                 lambda: process.output)
        wait_for(lambda: names(tree) == now)
        assert process.stopped() == 0


def test_one_that_goes_on_before_another_has_come_keeps_its_place(
        tree, write):
    with processes.started(write()) as process:
        nodes = ready(tree, process)
        name, other = sorted(nodes)
        # No worker that is started from now on is ever registered.
        write(BROKEN, ready='/', ready_timeout='600')
        os.kill(nodes[name], signal.SIGSTOP)
        wait_for(lambda: names(tree) == {other}, 30, lambda: process.output)
        assert len(psutil.Process(process.pid).children()) == 3
        os.kill(nodes[name], signal.SIGCONT)
        wait_for(lambda: names(tree) == set(nodes), 30,
                 lambda: process.output)
        wait_for(lambda: 'goes on, and keeps its place' in process.output)
        wait_for(lambda: {child.pid for child in psutil.Process(
            process.pid).children()} == set(nodes.values()), 30)
        # The same process, in a session whose key its parent has.
        os.kill(nodes[name], signal.SIGKILL)
        wait_for(lambda: names(tree) == {other}, 30)
        assert process.stopped() == 0


def test_what_all_share_hangs(tree, write, gates):
    """There are not twice as many processes then, and not no node."""
    with processes.started(write(workers='3')) as process:
        nodes = ready(tree, process, 3)
        asked = hang(nodes)
        # One other is left that they can leave behind: the new one.
        wait_for(lambda: len(names(tree)) == 1
                 and not names(tree) & set(nodes), 30, lambda: process.output)
        new, = names(tree)
        asked += hang([new])
        wait_for(lambda: process.output.count(' hung: all ') == 4, 30,
                 lambda: process.output)
        wait_for(lambda: 'stays in ZooKeeper all the same' in process.output)
        assert names(tree) == {new}
        assert len(psutil.Process(process.pid).children()) == 4
        assert process.output.count('takes its place') == 1
        let_go(gates, asked)
        wait_for(lambda: len(names(tree)) == 3
                 and len(psutil.Process(process.pid).children()) == 3, 30,
                 lambda: process.output)
        assert process.stopped() == 0


def test_a_rolling_restart_while_one_hangs(tree, write, gates):
    with processes.started(write(graceful_timeout='0.2')) as process:
        nodes = ready(tree, process)
        hung, _ = sorted(nodes)
        asked = hang([hung])
        wait_for(lambda: len(names(tree)) == 2 and hung not in names(tree),
                 30, lambda: process.output)
        process.signal(signal.SIGHUP)
        wait_for(lambda: 'rolling restart done' in process.output, 60,
                 lambda: process.output)
        assert len(names(tree)) == 2 and not names(tree) & set(nodes)
        assert len(psutil.Process(process.pid).children()) == 2
        for thread, _ in asked:
            thread.join()
        assert process.stopped() == 0
