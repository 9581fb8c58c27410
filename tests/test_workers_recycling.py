"""Used-up workers of a real parent, whose workers are stand-ins."""
from __future__ import annotations

import signal

from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.program import is_alive
from zkzopeserver_support.program import running

QUICK = {'workers.pool.FIRST_WAIT_S': 0.01,
         'workers.pool.LONGEST_WAIT_S': 0.05}


def test_successor_that_dies_leaves_the_old_worker(tmp_path):
    with running(tmp_path, {'used': 7}, constants=QUICK) as program:
        old = program.wait_registered(2)
        program.plan(exit=1)
        program.wait_log('ended with status 1 before it was registered', 7)
        assert program.find(
            r'worker \d+ at \S+ has served 7 requests: replacing it')
        assert program.registered() == old
        program.plan()
        wait_for(lambda: not any(map(is_alive, old)), 30, program.log)
        assert len(program.wait_registered(2)) == 2
        assert program.stop() == 0


def test_never_two_at_once(tmp_path):
    with running(tmp_path, {'used': 7, 'slow': True,
                            'limits': {'graceful_timeout': 60}},
                 workers='3') as program:
        program.wait_registered(3)
        program.plan()
        program.wait_log('stopping worker .* has served 7 requests')
        # It stops, and takes its time: nothing else is done meanwhile.
        program.wait_registered(3)
        program.send(signal.SIGUSR2)
        wait_for(lambda: len(program.events('reopened')) >= 3)
        assert len(program.find('stopping worker')) == 1
        program.release()
        program.wait_log('stopping worker .* has served 7 requests', 3)
        assert len(program.wait_registered(3)) == 3
        assert program.stop() == 0


def test_rolling_restart_takes_over(tmp_path):
    with running(tmp_path, {'used': 7}, constants=QUICK) as program:
        old = program.wait_registered(2)
        program.plan(silent=True)
        program.wait_log('has served 7 requests: replacing it')
        wait_for(lambda: len(program.events('started')) == 3)
        program.plan()
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done')
        assert not set(program.wait_registered(2)) & set(old)
        assert not program.find('ERROR')
        assert program.stop() == 0


def test_fewer_workers_are_wanted_meanwhile(tmp_path):
    with running(tmp_path, {'used': 7}) as program:
        program.wait_registered(2)
        program.plan(silent=True)
        wait_for(lambda: len(program.events('started')) == 3)
        program.send(signal.SIGTTOU)
        program.wait_log('1 workers are wanted')
        program.plan()
        newest = wait_for(lambda: [
            pid for pid in program.registered()
            if pid not in program.events('registered')[:2]], 30, program.log)
        wait_for(lambda: program.registered() == newest, 30, program.log)
        assert program.stop() == 0
