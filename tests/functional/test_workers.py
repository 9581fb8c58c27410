"""Several processes behind bin/NAME, with a ZooKeeper and with clients."""
from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.program import Systemd
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get
from zkzopeserver_support.traffic import Traffic

from zc.zkzopeserver.cli.processes import lives

ECHO = 'call:zkzopeserver_support.echo:make_echo'
GATED = 'call:zkzopeserver_support.running:make_gated'


def write_ini(folder, zookeeper, app=ECHO, **options):
    return processes.write_ini(folder, zookeeper.connection_string, app,
                               **{'workers': '2', **options})


def registered(tree, process, count):
    """Return the data of the providers, once the parent knows `count`."""
    wait_for(lambda: f'all {count} workers are registered' in process.output,
             30, lambda: process.output)
    return processes.registered(tree, process, count=count)


def pids(nodes):
    return sorted(data['pid'] for data in nodes.values())


def family(process):
    """Return the process ids of the parent and of its workers."""
    return [process.pid, *(child.pid for child in
                           psutil.Process(process.pid).children())]


def all_gone(numbers, timeout=15):
    wait_for(lambda: not any(map(lives, numbers)), timeout)


def test_each_worker_has_a_port_and_a_node_and_a_monitor(
        zookeeper, tree, tmp_path):
    ini = write_ini(tmp_path, zookeeper,
                    f'{ECHO}\nshows = wsgi.multiprocess', workers='3',
                    monitor_server='127.0.0.1:0')
    with processes.started(ini) as process:
        nodes = registered(tree, process, count=3)
        assert len({data['monitor'] for data in nodes.values()}) == 3
        parent, *workers = family(process)
        assert pids(nodes) == sorted(workers)
        for address, data in nodes.items():
            assert get(address) == (200, f'echo {data["pid"]} True')
        # The parent has neither a socket that listens nor a session.
        assert not psutil.Process(parent).net_connections('inet')
        assert process.stopped() == 0
        assert tree.get_children(PATH) == []
        all_gone(workers)


def test_the_parent_does_not_load_the_application(
        embedded, embedded_tree, tmp_path):
    loaded = tmp_path / 'loaded'
    ini = write_ini(tmp_path, embedded, f'{ECHO}\nloaded = {loaded}')
    with processes.started(ini) as process:
        nodes = registered(embedded_tree, process, count=2)
        assert sorted(map(int, loaded.read_text().split())) == pids(nodes)
        assert process.stopped() == 0


def test_rolling_restart_loses_no_request(zookeeper, tree, tmp_path):
    ini = write_ini(tmp_path, zookeeper, deregister_wait='0.3')
    with processes.started(ini) as process:
        old = registered(tree, process, count=2)
        with Traffic(lambda: tree.get_children(PATH), 8, 0.01) as traffic:
            # While the old workers serve.
            answers = {f'echo {pid}' for pid in pids(old)}
            wait_for(lambda: answers <= set(traffic.answers), 30)
            write_ini(tmp_path, zookeeper, ECHO + '\ngreeting = changed',
                      deregister_wait='0.3')
            process.signal(signal.SIGHUP)
            wait_for(lambda: 'rolling restart done' in process.output, 60,
                     lambda: process.output)
            new = registered(tree, process, count=2)
            changed = {f'changed {pid}' for pid in pids(new)}
            wait_for(lambda: changed <= set(traffic.answers), 30)
        assert not old.keys() & new.keys()
        assert traffic.failures == []
        assert process.stopped() == 0


def test_killed_worker_is_replaced(zookeeper, tree, tmp_path):
    ini = write_ini(tmp_path, zookeeper, session_timeout='1000')
    with processes.started(ini) as process:
        killed, other = pids(registered(tree, process, count=2))
        os.kill(killed, signal.SIGKILL)

        # Its node stays until its session expires.
        wait_for(lambda: process.output.count('is registered') == 3, 20,
                 lambda: process.output)
        wait_for(lambda: len(tree.get_children(PATH)) == 2, 20)
        found = pids(registered(tree, process, count=2))
        assert other in found and killed not in found
        assert process.stopped() == 0


def test_ini_that_was_broken_leaves_the_old_workers(
        embedded, embedded_tree, tmp_path):
    ini = write_ini(tmp_path, embedded)
    with processes.started(ini) as process:
        nodes = registered(embedded_tree, process, count=2)
        write_ini(tmp_path, embedded, threads='none')
        process.signal(signal.SIGHUP)
        wait_for(lambda: '; 2 old workers stay' in process.output, 30,
                 lambda: process.output)
        assert "option 'threads': 'none' is not a whole number" in (
            process.output)
        assert registered(embedded_tree, process, count=2) == nodes
        assert process.stopped() == 0


def test_workers_of_a_killed_parent_leave_in_order(
        embedded, embedded_tree, tmp_path):
    ini = write_ini(tmp_path, embedded, orphan_timeout='0')
    with processes.started(ini) as process:
        registered(embedded_tree, process, count=2)
        _, *workers = family(process)
        process.signal(signal.SIGKILL)
        assert process.ended() == -signal.SIGKILL
        processes.gone(embedded_tree)
        all_gone(workers)
        assert process.output.count('the parent process is gone') == 2


def test_option_errors_are_told_once(embedded, tmp_path):
    ini = write_ini(tmp_path, embedded, port='8080', workers='4')
    with processes.started(ini) as process:
        assert process.ended() == 2
        lines = process.output.splitlines()
        assert len(lines) == 1
        assert "option 'port'" in lines[0]


def test_no_zookeeper(tmp_path):
    ini = processes.write_ini(tmp_path, '127.0.0.1:1', workers='2',
                              session_timeout='500')
    with processes.started(ini) as process:
        assert process.ended() == 3
        assert 'ended with status 3 before it was registered' in (
            process.output)


def test_workers_that_serve_before_zookeeper_is_there(tmp_path):
    ini = processes.write_ini(tmp_path, '127.0.0.1:1', workers='2',
                              wait='serve')
    with Systemd(tmp_path) as systemd, processes.started(
            ini, **systemd.environment) as process:
        wait_for(lambda: 'READY=1' in systemd.states(), 20,
                 lambda: process.output)
        assert process.stopped() == 0


def test_log_files_are_opened_anew(embedded, embedded_tree, tmp_path):
    access_log = tmp_path / 'access.log'
    ini = write_ini(tmp_path, embedded, access_log=str(access_log))
    with processes.started(ini) as process:
        nodes = registered(embedded_tree, process, count=2)
        access_log.rename(tmp_path / 'access.log.1')
        process.signal(signal.SIGUSR2)
        wait_for(lambda: process.output.count('log files opened anew') == 3,
                 message=lambda: process.output)
        for address in nodes:
            assert get(address)[0] == 200
        wait_for(lambda: access_log.exists()
                 and access_log.read_text().count('GET / ') == 2)
        assert process.stopped() == 0


def test_signals_for_the_parent_do_not_harm_a_worker(
        embedded, embedded_tree, tmp_path):
    ini = write_ini(tmp_path, embedded)
    with processes.started(ini) as process:
        nodes = registered(embedded_tree, process, count=2)
        for pid in pids(nodes):
            for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU,
                           signal.SIGUSR2):
                os.kill(pid, number)
        for address in nodes:
            assert get(address)[0] == 200
        assert registered(embedded_tree, process, count=2) == nodes
        assert process.stopped() == 0


def test_sigterm_to_all_processes_is_one_request_to_stop(
        embedded, embedded_tree, tmp_path):
    gate = tmp_path / 'gate'
    ini = write_ini(tmp_path, embedded, f'{GATED}\ngate = {gate}')
    with processes.started(ini) as process:
        nodes = registered(embedded_tree, process, count=2)
        everybody = family(process)
        with ThreadPoolExecutor() as executor:
            answers = [executor.submit(get, address, '/slow', 60)
                       for address in nodes]
            wait_for(lambda: all(map(is_busy, everybody[1:])))
            # As systemd does; the parent signals its workers as well.
            for pid in reversed(everybody):
                os.kill(pid, signal.SIGTERM)
            wait_for(lambda: 'SIGTERM: stopping' in process.output, 30,
                     lambda: process.output)
            gate.touch()
            assert [answer.result()[0] for answer in answers] == [200, 200]
        assert process.ended() == 0
        assert ' again: ' not in process.output
        all_gone(everybody)


def is_busy(pid):
    """Whether a client is connected to the process."""
    return any(found.status == psutil.CONN_ESTABLISHED
               and found.laddr.port in [
                   listening.laddr.port for listening in
                   psutil.Process(pid).net_connections('inet')
                   if listening.status == psutil.CONN_LISTEN]
               for found in psutil.Process(pid).net_connections('inet'))


def test_titles_say_where_a_worker_is(embedded, embedded_tree, tmp_path):
    pytest.importorskip('setproctitle')
    with processes.started(write_ini(tmp_path, embedded)) as process:
        nodes = registered(embedded_tree, process, count=2)
        assert psutil.Process(process.pid).cmdline()[0].endswith(': parent')
        for address, data in nodes.items():
            wait_for(lambda address=address, pid=data['pid']: (
                psutil.Process(pid).cmdline()[0].endswith(
                    f': worker {address}')))
        assert process.stopped() == 0


def test_systemd_is_told_by_the_parent_alone(
        embedded, embedded_tree, tmp_path):
    with Systemd(tmp_path) as systemd, processes.started(
            write_ini(tmp_path, embedded),
            **systemd.environment) as process:
        registered(embedded_tree, process, count=2)
        wait_for(lambda: 'READY=1' in systemd.states())
        assert process.stopped() == 0
        assert [state for state in systemd.states()
                if not state.startswith('STATUS=')] == ['READY=1',
                                                        'STOPPING=1']


@pytest.mark.clock
def test_worker_whose_loop_hangs_is_replaced(
        embedded, embedded_tree, tmp_path):
    ini = write_ini(tmp_path, embedded, session_timeout='1000')
    with Systemd(tmp_path) as systemd, processes.started(
            ini, **systemd.environment, WATCHDOG_USEC='2000000') as process:
        hung, other = pids(registered(
            embedded_tree, process, count=2))
        wait_for(lambda: len(systemd.told('WATCHDOG=1')) > 3)
        os.kill(hung, signal.SIGSTOP)
        wait_for(lambda: 'hangs, its serving loop' in process.output, 20)
        all_gone([hung])
        wait_for(lambda: pids(registered(
            embedded_tree, process, count=2)) != sorted([hung, other]))
        assert process.stopped() == 0
