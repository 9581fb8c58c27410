"""Test the command ``zookeeper_embedded`` as a process."""
import signal
import subprocess
import sys

import pytest
from zc.zk.embedded import Server
from zc.zk.testing.clients import start_client
from zc.zk.testing.clients import stop_client
from zc.zk.testing.waiting import wait_for
from zc_zk_support import wire
from zc_zk_support.wire import Wire

FIRST_LINE = (
    'ZooKeeper for development, on one machine; production is an Apache'
    ' ZooKeeper ensemble.\n')


@pytest.fixture
def command():
    """Return a function that starts the command; its output is a pipe."""
    processes = []

    def start(*arguments):
        processes.append(subprocess.Popen(
            [sys.executable, '-m', 'zc.zk.scripts.zookeeper_embedded',
             *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_is_and_where_and_ends_well(command, number):
    process = command('--port', '0')
    assert process.stdout.readline() == FIRST_LINE
    client = start_client(process.stdout.readline().strip())
    assert client.exists('/')
    process.send_signal(number)
    assert process.wait(10) == 0
    assert process.communicate() == ('', '')
    stop_client(client)


def test_it_keeps_nodes_in_its_file(command, tmp_path):
    arguments = '--port', '0', '--data', str(tmp_path / 'data')
    for number, end in enumerate([signal.SIGTERM, signal.SIGKILL, 0]):
        process = command(*arguments)
        process.stdout.readline()
        client = start_client(process.stdout.readline().strip())
        assert len(client.get_children('/')) == number + 1
        client.create(f'/{number}')
        process.send_signal(end or signal.SIGTERM)
        process.wait(10)
        stop_client(client)


def test_a_port_in_use_is_one_line_and_status_1(command):
    with Server() as server:
        process = command('--port', str(server.port))
        out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, FIRST_LINE)
    assert error == (
        'zookeeper_embedded: cannot listen on'
        f' 127.0.0.1:{server.port}: Address already in use\n')


def test_an_unknown_host_is_one_line(command):
    process = command('--port', '0', '--host', 'no.such.host.invalid')
    error = process.communicate(timeout=20)[1]
    assert process.returncode == 1
    assert error.startswith(
        'zookeeper_embedded: cannot listen on no.such.host.invalid:0: ')
    assert error.count('\n') == 1


def test_a_file_that_is_not_its_own_is_one_line(command, tmp_path):
    path = tmp_path / 'notes.txt'
    path.write_text('something else entirely')
    process = command('--port', '0', '--data', str(path))
    assert process.communicate(timeout=20)[1] == (
        f'zookeeper_embedded: {path}: not a data file of this server\n')
    assert process.returncode == 1


@pytest.mark.parametrize('option,value,message', [
    ('--port', 'http', "'http': a port from 0 to 65535 is wanted"),
    ('--port', '65536', "'65536': a port from 0 to 65535 is wanted"),
    ('--tick', '0', "'0': milliseconds from 1 to 60000 is wanted")])
def test_bad_options_are_refused_with_status_2(
        command, option, value, message):
    process = command(option, value)
    error = process.communicate(timeout=20)[1]
    assert process.returncode == 2
    assert error.endswith(
        f'zookeeper_embedded: error: argument {option}: {message}\n')


def test_ticks_set_the_limits_of_sessions(command):
    process = command('--port', '0', '--tick', '50')
    process.stdout.readline()
    client = start_client(process.stdout.readline().strip(), timeout=.1)
    wait_for(lambda: client.connected)
    assert 'minSessionTimeout=100\n' in client.command(b'conf')
    stop_client(client)


def test_it_survives_a_lack_of_file_descriptors(command):
    resource = pytest.importorskip('resource')
    if not hasattr(resource, 'prlimit'):
        pytest.skip('limits of other processes cannot be set here')
    process = command('--port', '0')
    process.stdout.readline()
    hosts = process.stdout.readline().strip()
    with Wire(hosts) as first:
        first.start()
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (40, 40))
        others = [Wire(hosts) for _ in range(100)]
        assert first.request(wire.SYNC, wire.text('/')).code == 0
        for other in others:
            other.socket.close()
        with Wire(hosts) as later:
            assert later.start().timeout
    process.terminate()
    assert process.communicate() == (
        '', 'WARNING no more connections for now: Too many open files\n')
