"""Find out about processes and hosts."""
import os
import socket
import subprocess
import sys

import psutil
import pytest
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver.cli import processes

# The first thread ends, and the other one when there is input.
WITHOUT_FIRST_THREAD = """
import ctypes, threading
threading.Thread(target=input).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.fixture(scope='module')
def dead():
    """The pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return process.pid


def test_a_process_that_has_ended(dead):
    assert not processes.lives(dead)
    assert processes.children(dead) == []
    assert processes.ports(dead) is None
    assert processes.identify(dead) is None


def test_children_and_ports_of_this_process():
    with subprocess.Popen([sys.executable, '-c', 'input()'],
                          stdin=subprocess.PIPE) as child, \
            socket.create_server(('127.0.0.1', 0)) as listening:
        assert processes.lives(child.pid)
        assert child.pid in processes.children(os.getpid())
        assert listening.getsockname() in processes.ports(os.getpid())
        process = processes.identify(child.pid)
        assert processes.wait_end([process], 0) == [process]
        child.communicate(b'\n')
    assert processes.wait_end([process], 0) == []


@pytest.mark.parametrize('name', [
    'socket', 'a b', ' a  b ', 'a\tb', '\xfc', '0: 0 0 0 0 01 1 a'])
def test_a_unix_socket_of_any_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(name)
        assert name in processes.unix_sockets(os.getpid())
    assert name not in processes.unix_sockets(os.getpid())


@pytest.mark.skipif(sys.platform != 'linux', reason='as Linux has it')
def test_a_path_that_pretends_to_be_a_line(tmp_path, monkeypatch):
    """It would say that another process listens there."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as ours, \
            socket.socket(socket.AF_UNIX) as other, \
            socket.socket(socket.AF_UNIX) as forged:
        ours.bind('ours')
        other.bind('other')
        inode = os.fstat(ours.fileno()).st_ino
        forged.bind(f'x\n0: 00000002 00000000 00010000 0001 01 {inode} forged')
        paths = processes.unix_sockets(os.getpid())
    assert 'other' in paths
    assert 'forged' not in paths


@pytest.mark.skipif(sys.platform != 'linux', reason='as Linux has it')
def test_a_process_lives_as_long_as_one_of_its_threads():
    """It looks like a zombie, and still has its locks on files."""
    with subprocess.Popen([sys.executable, '-c', WITHOUT_FIRST_THREAD],
                          stdin=subprocess.PIPE) as child:
        process = processes.identify(child.pid)
        wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE)
        assert processes.lives(child.pid)
        assert processes.wait_end([process], 0) == [process]
        child.stdin.write(b'\n')
        child.stdin.flush()
        assert processes.wait_end([process], 30) == []
        assert not processes.lives(child.pid)


@pytest.mark.parametrize('host, expected', [
    ('127.0.0.1', True), ('localhost', True), ('192.0.2.1', False)])
def test_hosts_that_are_this_machine(host, expected):
    assert processes.is_here(host) is expected
    assert processes.resolves_here(host) is expected


@pytest.mark.parametrize('host', ['a..b', 'nix.invalid', '\0', 'x' * 1000])
def test_a_host_that_is_no_name(host):
    assert not processes.is_here(host)
    assert not processes.resolves_here(host)


@pytest.mark.skipif(sys.platform != 'linux', reason='as Linux has it')
def test_all_loopback_addresses_are_of_this_machine():
    """No interface has it."""
    assert processes.is_here('127.0.7.1')
    assert not processes.is_here('192.0.2.1')
    assert not processes.is_here('2001:db8::1')
