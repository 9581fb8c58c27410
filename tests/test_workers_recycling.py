"""Used-up workers of a real parent, whose workers are stand-ins."""
from __future__ import annotations

import os
import signal

from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.program import running

from zc.zkzopeserver.cli.processes import lives

QUICK = {'workers.pool.FIRST_WAIT_S': 0.01,
         'workers.pool.LONGEST_WAIT_S': 0.05}


def test_successor_that_dies_leaves_the_old_worker(tmp_path):
    with running(tmp_path, constants=QUICK) as program:
        old = program.wait_registered(2)
        program.plan(exit=1)
        program.use_up(old)
        program.wait_log('ended with status 1 before it was registered', 7)
        assert program.find(
            r'worker \d+ at \S+ has served 9 requests: replacing it')
        assert program.registered() == old
        program.plan()
        wait_for(lambda: not any(map(lives, old)), 30, program.log)
        assert len(program.wait_registered(2)) == 2
        assert program.stop() == 0


def test_never_two_at_once(tmp_path):
    with running(tmp_path, {'slow': True, 'limits': {'graceful_timeout': 60}},
                 workers='3') as program:
        old = program.wait_registered(3)
        program.plan()
        program.use_up(old)
        program.wait_log('stopping worker .* has served 9 requests')
        # It stops, and takes its time: nothing else is done meanwhile.
        program.wait_registered(3)
        program.send(signal.SIGUSR2)
        wait_for(lambda: len(program.events('reopened')) >= 3)
        assert len(program.find('stopping worker')) == 1
        program.release()
        program.wait_log('stopping worker .* has served 9 requests', 3)
        assert len(program.wait_registered(3)) == 3
        assert program.stop() == 0


def test_rolling_restart_takes_over(tmp_path):
    with running(tmp_path, constants=QUICK) as program:
        old = program.wait_registered(2)
        program.plan(silent=True)
        program.use_up(old)
        program.wait_log('has served 9 requests: replacing it')
        wait_for(lambda: len(program.events('started')) == 3)
        program.plan()
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done')
        assert not set(program.wait_registered(2)) & set(old)
        assert not program.find('ERROR')
        assert program.stop() == 0


def test_fewer_workers_are_wanted_meanwhile(tmp_path):
    with running(tmp_path) as program:
        old = program.wait_registered(2)
        program.plan(silent=True)
        program.use_up(old)
        wait_for(lambda: len(program.events('started')) == 3)
        program.send(signal.SIGTTOU)
        program.wait_log('1 workers are wanted')
        program.plan()
        newest = wait_for(lambda: [
            pid for pid in program.registered()
            if pid not in old], 30, program.log)
        wait_for(lambda: program.registered() == newest, 30, program.log)
        assert program.stop() == 0


def test_a_worker_that_stands_still_is_no_successor(tmp_path):
    """One that is used up waits for one that serves, not for any other."""
    with running(tmp_path, workers='2', constants=QUICK) as program:
        still, used = program.wait_registered(2)
        wait_for(lambda: len(program.events('beating')) == 2)
        program.plan(silent=True)
        os.kill(still, signal.SIGSTOP)
        program.wait_log(rf'worker {still} at \S+ answers nobody')
        program.use_up([used])
        program.wait_log(rf'worker {used} at \S+ has served 9 requests')
        wait_for(lambda: len(program.events('started')) == 4)
        assert program.registered() == [still, used]
        program.plan()
        os.kill(still, signal.SIGCONT)
        program.wait_log(rf'worker {still} at \S+ goes on, and keeps')
        assert program.stop() == 0


def test_a_worker_that_never_goes_on_is_ended(tmp_path):
    with running(tmp_path, {'limits': {'hung_kill_after': 0.2}},
                 constants={'workers.protocol.MARGIN_S': 0.1}) as program:
        still, other = program.wait_registered(2)
        wait_for(lambda: len(program.events('beating')) == 2)
        os.kill(still, signal.SIGSTOP)
        program.wait_log(rf'ERROR .* worker {still} at \S+ is still silent:'
                         ' ending it')
        wait_for(lambda: not lives(still), 30, program.log)
        assert other in program.wait_registered(2)
        assert len(program.events('started')) == 3
        assert program.stop() == 0


def test_a_worker_that_dies_while_another_has_its_place(tmp_path):
    with running(tmp_path) as program:
        still, other = program.wait_registered(2)
        wait_for(lambda: len(program.events('beating')) == 2)
        os.kill(still, signal.SIGSTOP)
        wait_for(lambda: len(program.registered()) == 3, 30, program.log)
        os.kill(still, signal.SIGKILL)
        program.wait_log(rf'worker {still} at \S+ was killed by SIGKILL;'
                         ' another one has its place')
        assert other in program.wait_registered(2)
        assert len(program.events('started')) == 3
        assert program.stop() == 0
