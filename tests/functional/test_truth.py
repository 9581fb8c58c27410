"""ZooKeeper tells the truth after crashes: the nodes of the dead go at once.

The sessions time out after a minute: a node that is gone earlier was removed
by somebody.
"""
from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import threading
import time

import psutil
import pytest
from kazoo.exceptions import NoNodeError
from zc.zk.testing.waiting import wait_for
from zc_zk_support.tls import Terminator
from zc_zk_support.tls import make_certificate
from zkzopeserver_support import processes
from zkzopeserver_support.running import PATH
from zkzopeserver_support.traffic import Traffic

from zc.zkzopeserver.cli.processes import lives

ECHO = 'call:zkzopeserver_support.echo:make_echo'
BROKEN = 'call:zkzopeserver_support.running:make_broken'
TIMEOUT_MS = 60_000
GONE_S = 30


@pytest.fixture
def write(zookeeper, tmp_path):
    """A function that writes the ini of a server; returns its path."""
    def write(app=ECHO, where=zookeeper.connection_string, **options):
        return processes.write_ini(
            tmp_path, where, app,
            **{'session_timeout': str(TIMEOUT_MS), **options})

    return write


@pytest.fixture
def session_file(tmp_path):
    """Where the servers keep the keys of their sessions."""
    return tmp_path / 'web.session'


def pids(nodes):
    return sorted(data['pid'] for data in nodes.values())


def live(tree):
    """Return the pids of the nodes that are there."""
    found = set()
    for name in tree.get_children(PATH):
        with contextlib.suppress(NoNodeError):
            found.add(json.loads(tree.get(f'{PATH}/{name}')[0])['pid'])
    return found


def kill(*numbers):
    for number in numbers:
        os.kill(number, signal.SIGKILL)
    wait_for(lambda: not any(map(lives, numbers)))


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSEGV])
def test_the_parent_ends_the_session_of_a_dead_worker(
        tree, write, session_file, number):
    with processes.started(write(workers='2')) as process:
        dead, other = pids(processes.registered(tree, process, count=2))
        os.kill(dead, number)
        wait_for(lambda: f'ended the session of worker {dead}'
                 in process.output, GONE_S, lambda: process.output)
        wait_for(lambda: len(live(tree)) == 2, 30)
        assert dead not in live(tree) and other in live(tree)
        assert process.stopped() == 0
        assert tree.get_children(PATH) == []
        assert not session_file.exists()


def test_the_parent_imports_what_ends_sessions_before_it_is_needed(
        tree, write):
    # Python then writes a line for each import to stderr.
    with processes.started(write(workers='2'),
                           PYTHONPROFILEIMPORTTIME='1') as process:
        processes.registered(tree, process, count=2)
        wait_for(lambda: re.search(r'zc\.zk\.endsession$', process.output,
                                   re.MULTILINE), 30,
                 lambda: process.output)
        assert 'all 2 workers are registered' in process.output.partition(
            'zc.zk.endsession')[0]
        assert process.stopped() == 0


def test_the_parent_ends_a_session_over_tls(
        tree, write, zookeeper, tmp_path):
    cert, key = make_certificate(tmp_path)
    host, _, port = zookeeper.hosts.partition(':')
    with Terminator((host, int(port)), cert, key) as terminator:
        ini = write(
            workers='2', zookeeper_ca=cert, zookeeper_cert=cert,
            zookeeper_key=key,
            where=f'localhost:{terminator.port}{zookeeper.chroot}')
        with processes.started(ini) as process:
            dead, other = pids(processes.registered(tree, process, count=2))
            os.kill(dead, signal.SIGKILL)
            wait_for(lambda: len(live(tree)) == 2 and dead not in live(tree),
                     GONE_S, lambda: process.output)
            # The parent hears of it a moment after ZooKeeper.
            wait_for(lambda: f'ended the session of worker {dead}'
                     in process.output)
            assert other in live(tree)
            assert process.stopped() == 0


def test_a_successor_ends_the_session_of_a_killed_server(tree, write):
    ini = write()
    with processes.started(ini) as first:
        old = processes.registered(tree, first)
        kill(first.pid)
        assert tree.get_children(PATH) == list(old)
        with processes.started(ini) as second:
            wait_for(lambda: live(tree) == {second.pid}, GONE_S)
            wait_for(lambda: f'of pid {first.pid}, which has died, is ended'
                     in second.output)
            assert second.stopped() == 0


def test_a_new_parent_ends_the_sessions_of_all_that_were_killed(
        tree, write):
    ini = write(workers='2')
    with processes.started(ini) as first:
        processes.registered(tree, first, count=2)
        old = tree.get_children(PATH)
        kill(first.pid, *(child.pid for child in
                          psutil.Process(first.pid).children()))
        with processes.started(ini) as second:
            wait_for(lambda: not set(old) & set(tree.get_children(PATH)),
                     GONE_S, lambda: second.output)
            processes.registered(tree, second, count=2)
            assert second.stopped() == 0


def kill_all(process):
    kill(process.pid, *(child.pid for child in
                        psutil.Process(process.pid).children()))


@pytest.mark.parametrize('workers', ['1', '2'])
def test_the_list_is_not_empty_until_a_successor_is_there(
        tree, write, workers):
    # The application loads for longer than anybody would wait.
    ini = write(f'{ECHO}\nloads_s = 4', workers=workers)
    with processes.started(ini) as first:
        processes.registered(tree, first, count=int(workers))
        kill_all(first)
        old, seen = set(tree.get_children(PATH)), []
        tree.ChildrenWatch(PATH)(seen.append)
        with processes.started(ini) as second:
            wait_for(lambda: len(seen[-1]) == int(workers)
                     and not old & set(seen[-1]),
                     GONE_S, lambda: second.output)
            assert second.output.count(
                'which has died, is ended') == int(workers)
            assert [] not in seen
            assert second.stopped() == 0


def test_nodes_of_the_dead_go_before_the_successor_is_there(tree, write):
    """Where there are others, and in the end anyway."""
    ini = write(workers='2')
    with processes.started(ini) as first:
        processes.registered(tree, first, count=2)
        kill_all(first)
        # No worker that is started from now on is ever registered.
        write(BROKEN, workers='2', ready='/', ready_timeout='600')
        other = f'{PATH}/192.0.2.1:80'
        tree.create(other, ephemeral=True)
        with processes.started(ini) as second:
            wait_for(lambda: tree.get_children(PATH) == ['192.0.2.1:80'],
                     GONE_S, lambda: second.output)
            second.signal()
            second.ended()
        tree.delete(other)
    with processes.started(write()) as third:
        processes.registered(tree, third)
        kill(third.pid)
        write(BROKEN, ready='/', ready_timeout='600', session_timeout='4000')
        with processes.started(ini) as fourth:
            processes.gone(tree, timeout=GONE_S)
            fourth.signal()
            fourth.ended()


@pytest.mark.parametrize('verb, status', [
    ('forget', 0), ('status', 1), ('stop', 0)])
def test_verbs_end_the_session_of_a_killed_server(
        tree, write, session_file, verb, status):
    ini = write()
    with processes.started(ini) as process, processes.script(ini) as web:
        processes.registered(tree, process)
        kill(process.pid)
        said = web(verb, status=status)
        assert f'of pid {process.pid}' in said
        assert tree.get_children(PATH) == []
        assert not session_file.exists()
        assert web('forget') == 'web: nothing to forget\n'


def test_forget_for_a_server_whose_files_are_gone(
        tree, write, session_file, tmp_path):
    ini = write()
    with processes.started(ini) as process, processes.script(
            tmp_path / 'nosuch.ini') as other:
        processes.registered(tree, process)
        kill(process.pid)
        ini.unlink()
        said = other('forget', str(session_file))
        assert f'of pid {process.pid}, which has died, has ended' in said
        assert tree.get_children(PATH) == []
        assert not session_file.exists()


def test_no_verb_ends_the_session_of_a_live_server(tree, write):
    ini = write(workers='2')
    with processes.started(ini) as process, processes.script(ini) as web:
        nodes = processes.registered(tree, process, count=2)
        wait_for(lambda: 'all 2 workers are registered' in process.output)
        for _ in range(2):
            assert web('forget') == 'web: nothing to forget\n'
            web('status')
        # Nor that of a server that drains, or stands still. The parent, which
        # would end the session of such a worker, stands still before it.
        stopped = process.pid, pids(nodes)[0]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        assert web('forget') == 'web: nothing to forget\n'
        assert processes.registered(tree, process, count=2) == nodes
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
        assert process.stopped() == 0


def test_forget_while_zookeeper_is_away(
        zookeeper_server, tmp_path, client):
    tree = client(timeout=30.)
    tree.ensure_path(PATH)
    ini = processes.write_ini(
        tmp_path, zookeeper_server.connection_string, ECHO,
        session_timeout=str(TIMEOUT_MS))
    with processes.started(ini) as process, processes.script(ini) as web:
        processes.registered(tree, process)
        kill(process.pid)
        zookeeper_server.stop()
        said = web('forget', status=3)
        assert f'of pid {process.pid} is not ended' in said
        zookeeper_server.start()
        web('forget')
        wait_for(lambda: tree.retry(tree.get_children, PATH) == [])


def test_the_password_is_in_no_log_environment_argument_or_node(
        tree, write, session_file):
    ini = write(workers='2', loggers='DEBUG')
    with processes.started(ini) as process, processes.script(ini) as web:
        nodes = processes.registered(tree, process, count=2)
        status = session_file.stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        secrets = [text.split(b'"')[0].decode() for text in
                   session_file.read_bytes().split(b'"password": "')[1:]]
        assert len(secrets) == 2 and all(
            len(secret) == 32 for secret in secrets)
        family = [process.pid, *pids(nodes)]
        seen = []
        for pid in family:
            for name in 'environ', 'cmdline':
                with open(f'/proc/{pid}/{name}', 'rb') as file:
                    seen.append(file.read().decode(errors='replace'))
        kill(*family)
        seen += [web('forget'), process.output, str(nodes)]
        for secret in secrets:
            for text in seen:
                assert secret not in text
                assert repr(bytes.fromhex(secret))[2:-1] not in text


def test_workers_that_die_while_a_verb_forgets(tree, write, session_file):
    """Whoever is first ends the session, and no live one is ended."""
    ini = write(workers='3')
    with processes.started(ini) as process, processes.script(ini) as web:
        nodes = processes.registered(tree, process, count=3)
        wait_for(lambda: 'all 3 workers are registered' in process.output)
        stop = threading.Event()

        def forget():
            while not stop.is_set():
                web('forget')

        forgetting = threading.Thread(target=forget)
        forgetting.start()
        try:
            for dead in pids(nodes):
                os.kill(dead, signal.SIGKILL)
                wait_for(lambda dead=dead: dead not in live(tree), GONE_S)
        finally:
            stop.set()
            forgetting.join()
        wait_for(lambda: live(tree) == {
            child.pid for child in psutil.Process(process.pid).children()},
            GONE_S)
        assert process.stopped() == 0
        assert not session_file.exists()


def orphans(tree, process):
    """Kill the parent; return the pids of its workers, which serve on."""
    workers = set(pids(processes.registered(tree, process, count=2)))
    wait_for(lambda: 'all 2 workers are registered' in process.output)
    kill(process.pid)
    wait_for(lambda: process.output.count('serving on for 600 s') == 2)
    assert live(tree) == workers
    return workers


def test_no_request_is_lost_when_the_parent_is_killed(
        tree, write, session_file):
    ini = write(workers='2', orphan_timeout='600', deregister_wait='0.3')
    with processes.started(ini) as first:
        processes.registered(tree, first, count=2)
        traffic = Traffic(lambda: tree.get_children(PATH), 4, 0.01)
        with contextlib.ExitStack() as stack:
            stack.enter_context(traffic)
            old = orphans(tree, first)
            second = stack.enter_context(processes.started(ini))
            wait_for(lambda: not any(map(lives, old)), 60,
                     lambda: second.output)
            assert 'took over 2 workers' in second.output
            new = {child.pid for child in
                   psutil.Process(second.pid).children()}
            wait_for(lambda: live(tree) == new)
            answers = {f'echo {pid}' for pid in new}
            wait_for(lambda: answers <= set(traffic.answers), 30)
            traffic.stopping.set()
            assert second.stopped() == 0
        assert traffic.failures == []
        assert first.output.count('a new parent has taken over') == 2
    assert not session_file.exists()


def test_workers_without_a_parent_stop_after_a_while(tree, write):
    ini = write(workers='2', orphan_timeout='0.5')
    with processes.started(ini) as process:
        workers = pids(processes.registered(tree, process, count=2))
        wait_for(lambda: 'all 2 workers are registered' in process.output)
        kill(process.pid)
        wait_for(lambda: not any(map(lives, workers)), GONE_S)
        assert process.output.count('no new parent has come: stopping') == 2
        assert tree.get_children(PATH) == []


def test_stop_ends_workers_without_a_parent(tree, write, session_file):
    ini = write(workers='2', orphan_timeout='600')
    with processes.started(ini) as process, processes.script(ini) as web:
        old = orphans(tree, process)
        said = web('status', status=1)
        for pid in old:
            assert f'pid {pid} serves on without its parent' in said
        assert web('forget') == 'web: nothing to forget\n'
        said = web('stop')
        assert 'stopped' in said and not any(map(lives, old))
        assert tree.get_children(PATH) == [] and not session_file.exists()


def test_a_new_parent_that_is_stopped_takes_the_old_workers_along(
        tree, write, session_file):
    ini = write(workers='2', orphan_timeout='600')
    with processes.started(ini) as first:
        old = orphans(tree, first)
        write(BROKEN, workers='2', ready='/', ready_timeout='600')
        with processes.started(ini) as second:
            wait_for(lambda: 'took over 2 workers' in second.output)
            second.signal()
            second.ended()
        wait_for(lambda: not any(map(lives, old)), GONE_S)
        assert tree.get_children(PATH) == [] and not session_file.exists()


def test_an_adopted_worker_outlives_its_time_but_not_the_new_parent(
        tree, write):
    ini = write(workers='2', orphan_timeout='8')
    with processes.started(ini) as first:
        workers = pids(processes.registered(tree, first, count=2))
        wait_for(lambda: 'all 2 workers are registered' in first.output)
        # This parent never has workers of its own that are registered.
        write(BROKEN, workers='2', ready='/', ready_timeout='600')
        kill(first.pid)
        with processes.started(ini) as second:
            wait_for(lambda: 'took over 2 workers' in second.output)
            took = time.monotonic()
            wait_for(lambda: time.monotonic() > took + 9)
            assert all(map(lives, workers))
            assert live(tree) == set(workers)
            kill(second.pid, *(child.pid for child in psutil.Process(
                second.pid).children()))
            wait_for(lambda: not any(map(lives, workers)), GONE_S)


def test_a_parent_that_stood_still_blames_no_worker(tree, write):
    ini = write(workers='2')
    with processes.started(ini) as process:
        nodes = processes.registered(tree, process, count=2)
        wait_for(lambda: 'all 2 workers are registered' in process.output)
        process.signal(signal.SIGSTOP)
        for worker in pids(nodes):
            os.kill(worker, signal.SIGSTOP)
        slept = time.monotonic()
        wait_for(lambda: time.monotonic() > slept + 3)
        process.signal(signal.SIGCONT)
        wait_for(lambda: 'this process did not run for' in process.output)
        for worker in pids(nodes):
            os.kill(worker, signal.SIGCONT)
        assert processes.registered(tree, process, count=2) == nodes
        assert 'is silent' not in process.output
        assert process.stopped() == 0
