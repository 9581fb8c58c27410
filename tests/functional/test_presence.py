"""Servers that hang or are sick leave ZooKeeper, and come back."""
from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.moody import MOODY
from zkzopeserver_support.program import Systemd
from zkzopeserver_support.running import PATH

from zc.zkzopeserver import monitor


@pytest.fixture
def write(zookeeper, tmp_path, gates):
    """A function that writes the ini of a server; returns its path."""
    def write(**options):
        return processes.write_ini(
            tmp_path, zookeeper.connection_string,
            f'{MOODY}\nfolder = {gates}', **{
                'monitor_server': '127.0.0.1:0', 'hung_after': '0.5',
                'graceful_timeout': '0.5', 'keep_registered': '0',
                **options})

    return write


def status(address):
    """Return what the monitor server at an address tells."""
    return json.loads(monitor.ask(monitor_address(address), 'status json',
                                  10))


def monitor_address(text):
    host, _, port = text.rpartition(':')
    return host, int(port)


def names(tree):
    return tree.get_children(PATH)


def hang(gates, address, count):
    """Send requests that hang until `gates` has a file ``go``."""
    return [processes.asking(address, '/hang') for _ in range(count)]


def let_go(gates, asked):
    (gates / 'go').touch()
    for thread, results in asked:
        thread.join()
        assert results[0][0] == 200


def test_a_server_that_hangs_leaves_and_comes_back(tree, write, gates):
    ini = write(threads='2')
    with processes.started(ini) as process, processes.script(ini) as web:
        (name, data), = processes.registered(tree, process).items()
        # Two threads are busy and nobody waits: that is no hang.
        asked = hang(gates, name, 2)
        wait_for(lambda: status(data['monitor'])['busy_threads'] == 2)
        busy = time.monotonic()
        wait_for(lambda: time.monotonic() > busy + 1.5)
        assert names(tree) == [name]
        asked += hang(gates, name, 1)
        wait_for(lambda: not names(tree), 30, lambda: process.output)
        wait_for(lambda: status(data['monitor'])['state'] == 'hung')
        found = status(data['monitor'])
        assert "GET '/hang' from 127.0.0.1 for " in found['trouble']
        assert 'hung: all 2 threads hang, 1 requests wait' in process.output
        assert process.output.count('where the threads hang') == 1
        assert ', in moody' in process.output
        assert 'alive, hung; it has left by itself' in web('status',
                                                           status=150)
        let_go(gates, asked)
        wait_for(lambda: names(tree) == [name], 30, lambda: process.output)
        # Its connection may have been lost meanwhile, on a busy machine.
        wait_for(lambda: status(data['monitor'])['state'] == 'registered', 30,
                 lambda: process.output)
        assert status(data['monitor'])['trouble'] is None
        assert 'no longer hung' in process.output
        assert process.stopped() == 0


def test_a_busy_server_does_not_hang(tree, write, gates):
    """Requests wait all the time, and others are finished."""
    ini = write(threads='1', hung_after='0.6')
    with processes.started(ini) as process:
        name, = processes.registered(tree, process)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            for thread, results in [processes.asking(name, '/slow')
                                    for _ in range(4)]:
                thread.join()
                assert results[0][0] == 200
        assert 'hung' not in process.output
        assert process.stopped() == 0


def test_a_worker_that_hangs_for_too_long_is_replaced(tree, write, gates):
    ini = write(workers='2', hung_kill_after='1')
    with processes.started(ini) as process:
        nodes = processes.registered(tree, process, count=2)
        wait_for(lambda: 'all 2 workers are registered' in process.output)
        name, other = sorted(nodes)
        asked = hang(gates, name, 2)
        wait_for(lambda: 'is still hung: ending it' in process.output, 30,
                 lambda: process.output)
        wait_for(lambda: len(names(tree)) == 2 and name not in names(tree),
                 30, lambda: process.output)
        assert other in names(tree)
        assert 'rolling restart' not in process.output
        for thread, _ in asked:
            thread.join()
        assert process.stopped() == 0


def test_systemd_is_not_told_that_a_server_that_hangs_is_well(
        tree, write, gates, tmp_path):
    ini = write(hung_kill_after='0.5')
    with Systemd(tmp_path) as systemd, processes.started(
            ini, WATCHDOG_USEC='400000', **systemd.environment) as process:
        name, = processes.registered(tree, process)
        wait_for(lambda: len(systemd.told('WATCHDOG=1')) > 2)
        asked = hang(gates, name, 2)
        wait_for(lambda: not names(tree))

        def is_silent():
            before = len(systemd.told('WATCHDOG=1'))
            now = time.monotonic()
            wait_for(lambda: time.monotonic() > now + 1)
            return len(systemd.told('WATCHDOG=1')) == before

        wait_for(is_silent)
        let_go(gates, asked)
        fed = len(systemd.told('WATCHDOG=1'))
        wait_for(lambda: len(systemd.told('WATCHDOG=1')) > fed)
        assert process.stopped() == 0


HEALTH = {'health': '/health', 'health_interval': '0.1',
          'health_timeout': '1'}


def test_a_sick_server_leaves_and_comes_back(tree, write, gates):
    ini = write(**HEALTH, hung_after='0', probe_host='www.example.com')
    with processes.started(ini) as process, processes.script(ini) as web:
        (name, data), = processes.registered(tree, process).items()
        (gates / 'sick').write_text('503 Service Unavailable')
        wait_for(lambda: not names(tree), 30, lambda: process.output)
        wait_for(lambda: status(data['monitor'])['state'] == 'unhealthy')
        found = status(data['monitor'])
        assert found['trouble'] == '/health answers 503'
        assert 'unhealthy: /health answers 503' in process.output
        assert 'alive, unhealthy; it has left by itself' in web(
            'status', status=150)
        # What an operator says comes first.
        monitor.ask(monitor_address(data['monitor']), 'deregister', 10)
        (gates / 'sick').unlink()
        wait_for(lambda: 'no longer unhealthy' in process.output)
        wait_for(lambda: status(data['monitor'])['state'] == 'withdrawn')
        assert names(tree) == []
        (gates / 'sick').write_text('500 Error')
        wait_for(lambda: status(data['monitor'])['state'] == 'unhealthy')
        monitor.ask(monitor_address(data['monitor']), 'register', 10)
        assert names(tree) == []
        (gates / 'sick').unlink()
        wait_for(lambda: names(tree) == [name], 30, lambda: process.output)
        assert process.stopped() == 0
        assert "HTTP_HOST='www.example.com'" in (
            gates / 'asked').read_text()


def test_one_bad_answer_is_no_illness(tree, write, gates):
    ini = write(**HEALTH, health_fall='1000')
    with processes.started(ini) as process:
        name, = processes.registered(tree, process)
        (gates / 'sick').write_text('503 Service Unavailable')
        wait_for(lambda: (gates / 'asked').exists() and len(
            (gates / 'asked').read_text().splitlines()) > 10)
        assert names(tree) == [name]
        assert process.stopped() == 0


def test_the_last_one_stays(tree, write, gates):
    ini = write(**HEALTH, workers='3', keep_registered='1', hung_after='0')
    with processes.started(ini) as process:
        nodes = processes.registered(tree, process, count=3)
        (gates / 'sick').write_text('503 Service Unavailable')
        wait_for(lambda: len(names(tree)) == 1, 30, lambda: process.output)
        wait_for(lambda: process.output.count(
            'stays in ZooKeeper all the same: fewer than 1 others') == 1, 30,
            lambda: process.output)
        (gates / 'sick').unlink()
        wait_for(lambda: set(names(tree)) == set(nodes), 30,
                 lambda: process.output)
        assert process.stopped() == 0


def test_a_percentage_stays(tree, write, gates):
    ini = write(**HEALTH, workers='4', keep_registered='50%%', hung_after='0')
    with processes.started(ini) as process:
        processes.registered(tree, process, count=4)
        wait_for(lambda: 'all 4 workers are registered' in process.output)
        # Each has counted four before the first one is sick.
        counted = time.monotonic()
        wait_for(lambda: time.monotonic() > counted + 1.5)
        (gates / 'sick').write_text('503 Service Unavailable')
        wait_for(lambda: len(names(tree)) == 2, 30, lambda: process.output)
        wait_for(lambda: process.output.count('stays in ZooKeeper') == 2, 30,
                 lambda: process.output)
        assert len(names(tree)) == 2
        assert process.stopped() == 0


def test_servers_without_health_do_without_an_http_client():
    """It takes memory and time at each start."""
    code = ('import sys, zc.zkzopeserver.service;'
            ' sys.exit("http.client" in sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True,
                   env={'PYTHONPATH': ':'.join(sys.path)})
