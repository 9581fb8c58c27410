"""The parent of real processes, whose workers are stand-ins."""
from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time

import psutil
import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.program import PROGRAM
from zkzopeserver_support.program import Systemd
from zkzopeserver_support.program import running

from zc.zkzopeserver.cli.processes import lives

QUICK = {'workers.pool.FIRST_WAIT_S': 0.01,
         'workers.pool.LONGEST_WAIT_S': 0.05}
HUNG = {'workers.pool.FIRST_WAIT_S': 60, 'workers.pool.LONGEST_WAIT_S': 60}


# Start and stop.

def test_start_and_stop(tmp_path):
    with running(tmp_path, workers='3') as program:
        workers = program.wait_registered(3)
        program.wait_log('all 3 workers are registered')
        assert program.stop() == 0
        assert not any(map(lives, workers))
        assert sorted(program.events('ended')) == sorted(workers)
        assert program.find('SIGTERM: stopping 3 workers')
        assert program.find('all workers have stopped')


def test_sigint_stops_too(tmp_path):
    with running(tmp_path) as program:
        program.wait_registered(2)
        program.send(signal.SIGINT)
        assert program.wait() == 0
        assert len(program.events('ended')) == 2


def test_stop_while_workers_start(tmp_path):
    with running(tmp_path, {'silent': True}) as program:
        wait_for(lambda: len(program.events('started')) == 2)
        assert program.stop() == 0


def test_stopped_before_workers_started(tmp_path):
    with running(tmp_path, workers='4') as program:
        program.wait_log('started worker')
        assert program.stop() == 0


def test_workers_stop_side_by_side(tmp_path):
    with running(tmp_path, {'slow': True}, workers='3') as program:
        program.wait_registered(3)
        program.send(signal.SIGTERM)
        wait_for(lambda: len(program.events('stopping')) == 3)
        assert not program.events('ended')
        program.release()
        assert program.wait() == 0
        assert not program.find('WARNING|ERROR')


def test_worker_that_does_not_stop_is_killed(tmp_path):
    with running(tmp_path, {'slow': True},
                 constants={'workers.protocol.MARGIN_S': 0.1}) as program:
        program.wait_registered(2)
        program.send(signal.SIGTERM)
        assert program.wait() == 0
        assert not program.events('ended')
        assert len(program.find(
            r'WARNING .* worker \d+ at \S+ has not stopped in time: killing'
        )) == 2


def test_worker_has_the_time_of_its_own_options(tmp_path):
    with running(tmp_path, {'slow': True, 'limits': {'graceful_timeout': 60}},
                 constants={'workers.protocol.MARGIN_S': 0.1}) as program:
        program.wait_registered(2)
        program.send(signal.SIGTERM)
        wait_for(lambda: len(program.events('stopping')) == 2)
        # Longer than the parent's own options would give.
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(0.6)
        program.release()
        assert program.wait() == 0
        assert not program.find('killing')


@pytest.mark.parametrize('slow, obeys', [(1, True), (2, False)])
def test_second_signal_stops_at_once(tmp_path, slow, obeys):
    # A worker that obeys has the time that this takes on a slow machine.
    with running(tmp_path, {'slow': slow, 'limits': {'graceful_timeout': 60}},
                 constants={'workers.supervisor.FORCE_EXIT_S':
                            60 if obeys else 0.1}) as program:
        program.wait_registered(2)
        program.send(signal.SIGTERM)
        wait_for(lambda: len(program.events('stopping')) == 2)
        # A signal in the same moment counts as the first one.
        wait_for(lambda: program.find('again: stopping at once')
                 or program.send(signal.SIGINT))
        assert program.wait() == 1
        assert program.find('WARNING .* SIGINT again: stopping at once')
        assert len(program.events('hurried')) == 2 * obeys
        assert len(program.find('killing it')) == 2 * (not obeys)


def test_terminal_interrupt_is_the_parents_alone(tmp_path):
    with running(tmp_path) as program:
        workers = program.wait_registered(2)
        groups = {os.getpgid(pid) for pid in workers}
        assert os.getpgid(program.process.pid) not in groups
        assert program.stop() == 0


def test_a_terminal_that_is_gone_stops_it(tmp_path):
    master, slave = pty.openpty()
    popen = {'stdin': slave, 'start_new_session': True,
             'preexec_fn': lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0)}
    with running(tmp_path, popen=popen) as program:
        os.close(slave)
        program.wait_registered(2)
        # While it is there, SIGHUP is a rolling restart.
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done')
        os.close(master)
        assert program.wait() == 0
        assert program.find('SIGHUP, as the terminal is gone: stopping 2')


@pytest.mark.parametrize('plan', [{}, {'silent': True}])
def test_no_worker_outlives_its_parent(tmp_path, plan):
    with running(tmp_path, plan) as program:
        event = 'registered' if not plan else 'started'
        workers = wait_for(lambda: len(program.events(event)) == 2
                           and program.events(event))
        program.process.kill()
        program.process.wait()
        wait_for(lambda: not any(map(lives, workers)))
        assert sorted(program.events('orphaned')) == sorted(workers)


# Deaths.

def test_dead_worker_is_replaced_at_once(tmp_path):
    with running(tmp_path, constants=HUNG) as program:
        first, second = program.wait_registered(2)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: first not in program.registered())
        assert second in program.wait_registered(2)
        program.wait_log(rf'ERROR .* worker {first} at 127.0.0.1:{first} was'
                         ' killed by SIGKILL; starting another at once')
        assert program.stop() == 0


def test_worker_that_another_process_stops_is_replaced_meanwhile(tmp_path):
    with running(tmp_path, {'slow': True}) as program:
        first, _ = program.wait_registered(2)
        os.kill(first, signal.SIGTERM)
        # It still runs, and clients do not find it any more.
        program.wait_log(f'INFO .* worker {first} at .* stops, and not at our'
                         ' request')
        program.wait_registered(2)
        assert lives(first)
        program.release()
        program.wait_log(f'worker {first} at .* has stopped')
        assert program.stop() == 0


def test_worker_that_keeps_stopping_is_not_started_without_end(tmp_path):
    with running(tmp_path, {'leave': True}, constants=HUNG) as program:
        # Until the second is dead, each worker that stops is replaced at once.
        wait_for(lambda: len(program.find('has stopped'))
                 == len(program.find('started worker')) >= 2,
                 30, program.log)
        *_, afterwards = program.log().split('has stopped', 2)
        assert 'started worker' not in afterwards
        assert program.stop() == 0


def test_workers_that_crash_when_registered_are_slowed_down(tmp_path):
    with running(tmp_path, {'crash': True},
                 constants={'workers.pool.FIRST_WAIT_S': 0.1}) as program:
        program.wait_log(r'was killed by SIGKILL; starting another in', 3)
        # It never gives up on workers that have come up.
        assert program.process.poll() is None
        program.plan()
        program.wait_registered(2)
        assert program.stop() == 0


@pytest.mark.parametrize('status', [2, 3, 4])
def test_fatal_status_at_the_first_start(tmp_path, status):
    with running(tmp_path, {'exit': status}) as program:
        assert program.wait() == status
        assert program.find(
            rf'ERROR .* worker \d+ ended with status {status} before it was'
            ' registered; stopping')


def test_fatal_status_later_does_not_stop_it(tmp_path):
    with running(tmp_path, constants=QUICK) as program:
        first, second = program.wait_registered(2)
        program.plan(exit=3)
        os.kill(first, signal.SIGKILL)
        program.wait_log(r'ended with status 3 before it was registered;'
                         ' starting another in', 8)
        assert program.registered() == [second]
        program.plan()
        program.wait_registered(2)
        assert program.stop() == 0


def test_gives_up_after_five_in_a_row(tmp_path):
    with running(tmp_path, {'exit': 1}, constants=QUICK) as program:
        assert program.wait() == 5
        assert len(program.events('started')) == 5
        assert len(program.find('starting another in')) == 4
        assert program.find('ERROR .* ended with status 1 before it was'
                            ' registered, and so did the 4 before it; giving'
                            ' up')


def test_gives_up_though_some_have_lived(tmp_path):
    with running(tmp_path, constants=QUICK) as program:
        workers = program.wait_registered(2)
        program.plan(exit=3)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        assert program.wait() == 5


def test_deaths_at_the_start_let_one_try_for_all(tmp_path):
    # Long enough for the plan to be another before the next two tries.
    with running(tmp_path, {'exit': 1}, workers='3',
                 constants={'workers.pool.FIRST_WAIT_S': 1}) as program:
        program.wait_log('starting another in', 3)
        program.plan()
        program.wait_registered(3)
        *_, afterwards = program.log().split('starting another in')
        assert afterwards.split('is registered')[0].count('started') == 1
        # Three workers that died, perhaps a fourth, one that tried, two more.
        assert len(program.events('started')) in (6, 7)
        assert program.stop() == 0


def test_waits_double(tmp_path):
    with running(tmp_path, {'exit': 1},
                 constants={'workers.pool.FIRST_WAIT_S': 0.08}) as program:
        assert program.wait() == 5
        waits = [float(wait) for wait in
                 program.find(r'starting another in ([\d.]+) s')]
        assert waits == sorted(waits)
        assert waits[-1] >= 0.08 * 8 * 0.75 - 0.05


def test_program_that_cannot_be_executed(tmp_path):
    script = ('from zc.zkzopeserver import logconfig, options, workers\n'
              'from zc.zkzopeserver.workers import pool\n'
              'import sys\n'
              'pool.FIRST_WAIT_S = .01\n'
              'logconfig.configure_default()\n'
              "parsed = options.parse({'zookeeper': 'localhost:1',"
              " 'path': '/p', 'workers': '2'})\n"
              "sys.exit(workers.run_parent(parsed, ['/no/such/program']))")
    found = subprocess.run([sys.executable, '-c', script], timeout=30,
                           capture_output=True, text=True)
    assert found.returncode == 5
    assert ('ERROR zc.zkzopeserver.workers cannot start a worker: [Errno 2] No'
            " such file or directory: '/no/such/program'; starting another in"
            ) in found.stderr


def test_worker_that_closes_its_channel_is_stopped(tmp_path):
    with running(tmp_path, {'deaf': True}, workers='2',
                 constants={'workers.pool.CLOSED_CHANNEL_S': 0.05}) as program:
        program.wait_log(r'WARNING .* worker \d+ has closed the channel to its'
                         ' parent: stopping it')
        program.plan()
        program.wait_registered(2)
        assert program.stop() == 0


def test_late_worker_is_warned_of_once(tmp_path):
    with running(tmp_path, {'silent': True, 'limits': {'ready_timeout': 0}},
                 workers='2',
                 constants={'workers.pool.LATE_S': 0.3}) as program:
        program.wait_log(r'WARNING .* is not registered after \d+ s; its own'
                         ' lines', 2)
        assert program.stop() == 0
        assert len(program.find('is not registered after')) == 2


# Rolling restart.

def test_rolling_restart(tmp_path):
    with running(tmp_path, workers='3') as program:
        old = program.wait_registered(3)
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done: 3 workers replaced in')
        new = program.wait_registered(3)
        assert not set(new) & set(old)
        assert len(program.events('started')) == 6
        assert at_most_one_more(program, 3)
        assert program.stop() == 0


def at_most_one_more(program, target):
    """Whether there were always `target` workers, one more at times."""
    there, counts = set(), []
    for line in (program.folder / 'events').read_text().splitlines():
        pid, event = line.split()
        if event == 'registered':
            there.add(pid)
        elif event == 'stopping':
            there.discard(pid)
            counts.append(len(there))
    # The last `target` workers stop at the end, side by side.
    return all(count == target for count in counts[:target])


def test_roll_waits_until_an_old_worker_has_ended(tmp_path):
    with running(tmp_path, {'slow': True}) as program:
        program.wait_registered(2)
        program.send(signal.SIGHUP)
        program.wait_log('stopping worker')
        wait_for(lambda: len(program.events('stopping')) == 1)
        program.send(signal.SIGUSR2)
        wait_for(lambda: len(program.events('reopened')) == 3)
        assert len(program.events('started')) == 3
        program.release()
        program.wait_log('rolling restart done: 2 workers')
        assert program.stop() == 0


@pytest.mark.parametrize('plan, why', [
    ({'exit': 1}, 'ended with status 1 before it was registered'),
    ({'crash': True}, 'was killed by SIGKILL after it was registered'),
    ({'silent': True, 'limits': {'ready_timeout': 0}},
     r'was not registered in \d+ s'),
])
def test_new_worker_that_does_not_come_up(tmp_path, plan, why):
    # The old workers end slowly: a crash that comes late is in the roll.
    with running(tmp_path, {'slow': True},
                 constants={'workers.pool.LATE_S': 0.5} | QUICK) as program:
        old = program.wait_registered(2)
        program.plan(**plan)
        program.send(signal.SIGHUP)
        program.wait_log(rf'ERROR .* rolling restart given up: worker .* {why}'
                         '; [12] old workers stay')
        assert set(program.registered()) <= set(old)
        program.release()
        program.plan()
        # Where an old worker was stopped already, a new one takes its place.
        program.wait_registered(2)
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done: 2 workers')
        program.wait_registered(2)
        assert program.stop() == 0


def test_new_worker_that_crashes_late_ends_the_roll(tmp_path):
    with running(tmp_path, workers='3') as program:
        program.wait_registered(3)
        program.plan(slow=True)
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done')
        # These workers end slowly, which leaves time for what follows.
        old = program.wait_registered(3)
        program.plan()
        program.send(signal.SIGHUP)
        wait_for(lambda: set(old) & set(program.events('stopping')))
        new, = set(program.registered()) - set(old)
        os.kill(new, signal.SIGKILL)
        program.wait_log(rf'ERROR .* given up: worker {new} .* was killed by'
                         ' SIGKILL after it was registered; 2 old')
        # The pool is complete again, with the two old workers.
        assert len(set(program.wait_registered(3)) & set(old)) == 2
        program.release()
        assert program.stop() == 0


def test_sighup_during_a_roll_rolls_once_more(tmp_path):
    with running(tmp_path, {'slow': True}) as program:
        program.wait_registered(2)
        program.send(signal.SIGHUP)
        program.wait_log('stopping worker')
        for _ in range(3):
            program.send(signal.SIGHUP)
        program.release()
        program.wait_log('rolling restart done', 2)
        assert program.stop() == 0
        assert len(program.find('rolling restart of 2 workers')) == 2
        assert len(program.events('started')) == 6


def test_roll_has_the_number_that_the_new_ini_says(tmp_path):
    with running(tmp_path) as program:
        program.wait_registered(2)
        program.plan(limits={'workers': 4})
        program.send(signal.SIGHUP)
        program.wait_log('4 workers are wanted')
        program.wait_log('rolling restart done: 2 workers')
        program.wait_registered(4)
        program.plan(limits={'workers': 1})
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done: 4 workers')
        program.wait_registered(1)
        assert program.stop() == 0


def test_roll_before_any_is_registered(tmp_path):
    with running(tmp_path, {'silent': True}) as program:
        old = wait_for(lambda: len(program.events('started')) == 2
                       and program.events('started'))
        program.plan()
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done: 2 workers')
        assert not set(old) & set(program.wait_registered(2))
        assert program.stop() == 0


def test_roll_replaces_a_worker_that_does_not_come_up(tmp_path):
    with running(tmp_path, constants=HUNG) as program:
        first, second = program.wait_registered(2)
        program.plan(silent=True)
        os.kill(first, signal.SIGKILL)
        silent, = wait_for(lambda: program.events('started')[2:])
        program.plan()
        program.send(signal.SIGHUP)
        program.wait_log('rolling restart done')
        assert not {first, second, silent} & set(program.wait_registered(2))
        assert program.stop() == 0


def test_mended_by_hand_after_deaths(tmp_path):
    with running(tmp_path, {'exit': 1}, constants=HUNG) as program:
        program.wait_log('starting another in', 2)
        program.plan()
        program.send(signal.SIGHUP)
        program.wait_log('no worker runs: starting them now')
        program.wait_registered(2)
        assert program.stop() == 0


def test_stop_in_the_middle_of_a_roll(tmp_path):
    with running(tmp_path) as program:
        program.wait_registered(2)
        program.plan(silent=True)
        program.send(signal.SIGHUP)
        wait_for(lambda: len(program.events('started')) == 3)
        assert program.stop() == 0
        assert program.find('SIGTERM: stopping 3 workers')


# More, fewer, log files.

def test_more_and_fewer(tmp_path):
    with running(tmp_path) as program:
        first = program.wait_registered(2)[0]
        program.send(signal.SIGTTIN)
        program.wait_registered(3)
        program.wait_log('3 workers are wanted')
        for wanted in 2, 1:
            program.send(signal.SIGTTOU)
            program.wait_log(f'{wanted} workers are wanted')
        left = program.wait_registered(1)
        assert left != [first]
        program.send(signal.SIGTTOU)
        program.wait_log('1 workers are wanted', 2)
        assert program.registered() == left
        assert program.stop() == 0


def test_log_files_are_opened_anew(tmp_path):
    log = tmp_path / 'logfile'
    with running(tmp_path, log=str(log)) as program:
        wait_for(lambda: 'all 2 workers' in read(log))
        log.rename(tmp_path / 'logfile.1')
        program.send(signal.SIGUSR2)
        wait_for(lambda: log.exists() and len(
            re.findall(r'INFO \d+ log files opened anew', read(log))) == 3)
        assert program.stop() == 0
        assert 'all workers have stopped' in read(log)


def read(path):
    return path.read_text() if path.exists() else ''


# Titles.

def test_titles(tmp_path):
    pytest.importorskip('setproctitle')
    with running(tmp_path) as program:
        program.wait_registered(2)
        assert psutil.Process(program.process.pid).cmdline()[0] == (
            f'{PROGRAM.name}: parent')
        assert program.stop() == 0


# systemd.

def test_systemd_hears_of_start_roll_and_stop(tmp_path):
    with Systemd(tmp_path) as systemd, running(
            tmp_path, environment=systemd.environment) as program:
        program.wait_registered(2)
        # It follows READY=1.
        wait_for(lambda: 'STATUS=2 of 2 workers registered'
                 in systemd.states())
        assert systemd.told('READY=1')
        before = time.monotonic_ns() // 1000
        program.send(signal.SIGHUP)
        wait_for(lambda: len(systemd.told('READY=1')) == 2)
        reloading, = systemd.told('RELOADING=1')
        assert int(reloading.split('MONOTONIC_USEC=')[1]) >= before
        assert program.stop() == 0
        order = [state for state in systemd.states()
                 if not state.startswith('STATUS')]
        assert order == ['READY=1', reloading, 'READY=1', 'STOPPING=1']


def test_systemd_is_told_ready_once_all_are_registered(tmp_path):
    with Systemd(tmp_path) as systemd, running(
            tmp_path, environment=systemd.environment) as program:
        first = program.wait_registered(2)[0]
        wait_for(lambda: systemd.told('READY=1'))
        told = systemd.states()
        assert told.index('STATUS=0 of 2 workers registered') < (
            told.index('READY=1'))
        # A death takes nothing back.
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: 'STATUS=1 of 2 workers registered'
                 in systemd.states())
        program.wait_registered(2)
        assert program.stop() == 0
        assert len(systemd.told('READY=1')) == 1


def test_workers_that_serve_without_a_node_count_as_started(tmp_path):
    with Systemd(tmp_path) as systemd, running(
            tmp_path, {'silent': True, 'serving': True},
            environment=systemd.environment) as program:
        wait_for(lambda: systemd.told('READY=1'))
        assert program.find('all 2 workers serve, 0 of them are registered')
        assert 'STATUS=0 of 2 workers registered' in systemd.states()
        assert program.stop() == 0


def test_workers_do_not_talk_to_systemd(tmp_path):
    environment = {'NOTIFY_SOCKET': str(tmp_path / 'nobody'),
                   'WATCHDOG_USEC': '60000000'}
    with running(tmp_path, environment=environment) as program:
        for pid in program.wait_registered(2):
            found = psutil.Process(pid).environ()
            assert not environment.keys() & found.keys()
            assert re.fullmatch(r'\d+:0\.5', found['ZC_ZKZOPESERVER_WORKER'])
        assert program.stop() == 0


def watched(systemd, seconds):
    return systemd.environment | {'WATCHDOG_USEC': str(int(seconds * 1e6))}


def test_watchdog_is_fed(tmp_path):
    with Systemd(tmp_path) as systemd, running(
            tmp_path, environment=watched(systemd, 4)) as program:
        workers = program.wait_registered(2)
        # One each 2 s: long enough to find a worker silent.
        wait_for(lambda: len(systemd.told('WATCHDOG=1')) >= 4, 20)
        assert program.registered() == workers
        assert program.stop() == 0


@pytest.mark.parametrize('number', [signal.SIGUSR1, signal.SIGSTOP])
@pytest.mark.clock
def test_hung_worker_is_killed_and_replaced(tmp_path, number):
    with Systemd(tmp_path) as systemd, running(
            tmp_path, environment=watched(systemd, 4)) as program:
        hung, sound = program.wait_registered(2)
        # A worker that never sent a beat is not watched.
        wait_for(lambda: hung in program.events('beating'))
        os.kill(hung, number)
        program.wait_log(rf'ERROR .* worker {hung} at \S+ hangs, its serving'
                         r' loop was last heard of [\d.]+ s ago: killing it',
                         timeout=20)
        wait_for(lambda: not lives(hung))
        assert sound in program.wait_registered(2)
        fed = len(systemd.told('WATCHDOG=1'))
        wait_for(lambda: len(systemd.told('WATCHDOG=1')) > fed)
        assert program.stop() == 0


@pytest.mark.clock
def test_parent_that_was_halted_kills_no_worker(tmp_path):
    with Systemd(tmp_path) as systemd, running(
            tmp_path, environment=watched(systemd, 4)) as program:
        workers = program.wait_registered(2)
        wait_for(lambda: len(program.events('beating')) == 2)
        for pid in (program.process.pid, *workers):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(4.5)  # the time itself is what is tested
        # The parent first: beats that it hears would hide that it forgives.
        for pid in (program.process.pid, *workers):
            os.kill(pid, signal.SIGCONT)
        program.wait_log('WARNING .* this process did not run for')
        fed = len(systemd.told('WATCHDOG=1'))
        wait_for(lambda: len(systemd.told('WATCHDOG=1')) > fed + 1)
        assert program.registered() == workers
        assert program.stop() == 0
