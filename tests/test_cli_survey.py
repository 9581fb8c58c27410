"""The owners of nodes, and when a server is up."""
import os
import socket
import subprocess
import sys

import pytest

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.survey import Owner

US = os.getpid()


@pytest.fixture(scope='module')
def dead():
    """The pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return process.pid


@pytest.fixture
def port():
    """A port that this process listens on."""
    with socket.create_server(('127.0.0.1', 0)) as listening:
        yield listening.getsockname()[1]


def options(**given):
    return option_table.parse({'zookeeper': 'z:1', 'path': '/p', **given})


def kind(name, pid, family=(US,), stale=None, **given):
    properties = {} if pid is None else {'pid': pid}
    found, = survey.owners(
        [Provider(name, properties)], survey.Machine(family),
        survey.ServerProcess(stale_pid=stale), options(**given))
    return found.owner


def test_a_process_of_ours_at_an_address_of_this_machine(port):
    assert kind(f'127.0.0.1:{port}', US) is Owner.OURS
    assert kind(f'localhost:{port}', US) is Owner.OURS


def test_a_process_of_this_machine_that_is_not_ours(port):
    assert kind(f'127.0.0.1:{port}', US, family=()) is Owner.OTHER


def test_another_machine_has_a_process_of_the_same_number(port):
    assert kind(f'192.0.2.1:{port}', US) is Owner.OTHER


def test_what_is_advertised_is_ours(port):
    assert kind(f'192.0.2.1:{port}', US, advertise='192.0.2.1') is Owner.OURS
    assert kind('192.0.2.1:80', US, advertise='192.0.2.1:80') is Owner.OURS
    assert kind('127.0.0.1:80', US, advertise='127.0.0.1:80') is Owner.OURS
    assert kind('198.51.100.1:80', US, advertise='192.0.2.1:80') is Owner.OTHER


def test_our_own_name_need_not_be_one_of_the_dns(port):
    """As Docker makes them."""
    assert kind(f'my_app:{port}', US, advertise='my_app') is Owner.OURS
    assert kind('my_app:80', US, advertise='my_app:80') is Owner.OURS
    assert kind('my_app:080', US, advertise='my_app:80') is Owner.OTHER
    assert kind(f'my_app:{port}', US, advertise='other') is Owner.OTHER


@pytest.mark.parametrize('name', [
    '127.0.0.1:0{}', '[::ffff:127.0.0.1%lo]:{}', '127.1:{}', ' 127.0.0.1:{}',
    '127.0.0.1:{} ', '0x7f.1:{}', '0.0.0.0:{}', ':{}'])
def test_an_address_has_one_form(port, name):
    assert kind(name.format(port), US) is Owner.OTHER


@pytest.mark.parametrize('listening, host, expected', [
    ('127.0.0.1', '127.0.0.1', True), ('127.0.0.1', '127.0.0.2', False),
    ('127.0.0.1', '::1', False), ('0.0.0.0', '192.0.2.1', True),
    ('0.0.0.0', '::1', False), ('::', '::1', True), ('::', '127.0.0.1', True),
    ('::1', '::1', True), ('::1', '127.0.0.1', False),
    ('::ffff:127.0.0.1', '127.0.0.1', True), ('127.0.0.1', 'web', True)])
def test_the_sockets_that_get_a_connection(listening, host, expected):
    assert survey.covers(listening, host) is expected


@pytest.mark.parametrize('host', ['[::1]', '127.0.0.2'])
def test_a_node_where_our_process_does_not_listen(port, host):
    """It would never answer, and the server never be up."""
    assert kind(f'{host}:{port}', US) is Owner.OTHER


def test_a_port_that_our_process_does_not_listen_on(port):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        other = free.getsockname()[1]
        assert kind(f'127.0.0.1:{other}', US) is Owner.OTHER


def test_our_process_has_died(dead):
    assert kind('127.0.0.1:8080', dead, stale=dead) is Owner.DEAD
    assert kind('127.0.0.1:8080', dead, port='8080') is Owner.DEAD


def test_what_listens_is_not_dead_though_its_pid_is_not_seen(dead, port):
    """A container that shares the network of the host."""
    assert kind(f'127.0.0.1:{port}', dead, stale=dead) is Owner.OTHER
    assert kind(f'127.0.0.1:{port}', dead) is Owner.OTHER


def test_a_process_of_this_machine_has_died_whose_is_not_known(dead):
    assert kind('127.0.0.1:8080', dead) is Owner.ORPHAN
    assert kind('192.0.2.1:8080', dead, stale=dead) is Owner.OTHER


@pytest.mark.parametrize('pid', [None, 'x', -1, 0, 1.5, True, 2 ** 80])
def test_nodes_of_others_can_hold_anything(pid):
    assert kind('127.0.0.1:8080', pid) in (Owner.OTHER, Owner.ORPHAN)
    assert kind('no address', pid) is Owner.OTHER
    assert kind('a:b:c', pid) is Owner.OTHER


def provider(pid, name='127.0.0.1:1', is_well=True, kind=Owner.OURS):
    return survey.ProviderStatus(Provider(name, {'pid': pid}), kind, 200,
                                 is_well)


def surveyed(*providers, expected=1, pid=10, members=(10,), problem=''):
    return survey.Survey('web', expected, survey.ServerProcess(pid),
                         members=members, providers=providers,
                         problem=problem)


def test_up():
    assert surveyed(provider(10)).is_up


def test_a_process_may_have_several_nodes_that_all_have_to_answer():
    assert surveyed(provider(10), provider(10, '127.0.0.2:1')).is_up
    found = surveyed(provider(10), provider(10, '127.0.0.2:1', False))
    assert not found.is_up
    assert (found.registered, found.answering) == ({10}, set())


def test_not_up():
    assert not surveyed().is_up
    assert surveyed().unregistered == [10]
    assert not surveyed(provider(10, is_well=False)).is_up
    assert not surveyed(provider(10, kind=Owner.OTHER)).is_up
    assert not surveyed(provider(10), expected=2).is_up
    assert not surveyed(provider(10), pid=None).is_up
    assert not surveyed(provider(10), problem='no ZooKeeper').is_up


def test_workers():
    found = surveyed(provider(11), provider(12), expected=2,
                     members=(11, 12, 13))
    assert found.is_up
    assert found.unregistered == [13]


def test_a_parent_is_no_member_and_children_of_a_single_process_are_none():
    def members(workers, *providers):
        return [pid for pid in (10, 11, 12) if survey.is_member(
            pid, survey.ServerProcess(10), providers, workers)]

    assert members(1) == [10]
    assert members(2) == [11, 12]
    # The ini was changed since the single process was started.
    assert members(2, provider(10)) == [10]


@pytest.mark.parametrize('answer, plain, ready', [
    (200, True, True), (302, True, True), (404, True, False),
    (503, True, False), ('timed out', False, False)])
def test_answers(answer, plain, ready):
    assert survey.is_well(answer, False) is plain
    assert survey.is_well(answer, True) is ready
