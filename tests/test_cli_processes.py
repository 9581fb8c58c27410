"""Become another user; find out about processes and hosts."""
import json
import os
import pwd
import socket
import subprocess
import sys

import pytest

from zc.zkzopeserver.cli import processes
from zc.zkzopeserver.errors import ConfigurationError

BECOME = '''
import json, os, sys
from zc.zkzopeserver.cli import processes
user, required, *folders = sys.argv[2:]
if sys.argv[1]:
    os.setuid(int(sys.argv[1]))
processes.become(user, tuple(folders), required == 'required')
print(json.dumps([os.getuid(), os.geteuid(), os.getgid(), os.getgroups(),
                  os.environ['HOME'], os.environ.get('USER')]))
'''

is_root = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')


def become(*arguments, uid=''):
    """Call `become` in a process of its own, which begins as user `uid`."""
    return subprocess.run(
        [sys.executable, '-c', BECOME, str(uid), *arguments], text=True,
        capture_output=True, env={
            **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})


def test_nobody_in_particular():
    before = os.getuid()
    processes.become('')
    assert os.getuid() == before


def test_a_user_that_there_is_not():
    with pytest.raises(ConfigurationError, match="no user 'nosuch-user'"):
        processes.become('nosuch-user')


def test_who_we_are_already():
    processes.become(pwd.getpwuid(os.geteuid()).pw_name, required=True)


@is_root
def test_root_becomes_the_user():
    nobody = pwd.getpwnam('nobody')
    done = become('nobody', 'required')
    assert done.returncode == 0, done.stderr
    uid, euid, gid, groups, home, name = json.loads(done.stdout)
    assert uid == euid == nobody.pw_uid
    assert gid == nobody.pw_gid
    assert 0 not in groups
    assert (home, name) == (nobody.pw_dir, 'nobody')


@is_root
def test_folders_are_made_for_the_user(tmp_path):
    folder = tmp_path / 'run'
    assert become('nobody', '', str(folder), str(folder),
                  '/nosuch/folder').returncode == 0
    assert folder.stat().st_uid == pwd.getpwnam('nobody').pw_uid
    assert folder.stat().st_mode & 0o777 == 0o750


@is_root
def test_others_cannot_become_anybody():
    uid = pwd.getpwnam('nobody').pw_uid
    done = become('root', 'required', uid=uid)
    assert "it runs as the user 'root'" in done.stderr
    # Verbs that only look do not require it.
    assert become('root', '', uid=uid).returncode == 0


# Processes and hosts.

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


@pytest.mark.parametrize('host, expected', [
    ('127.0.0.1', True), ('localhost', True), ('192.0.2.1', False)])
def test_hosts_that_are_this_machine(host, expected):
    assert processes.is_here(host) is expected
    assert processes.is_here(host, ask_dns=True) is expected


def test_a_host_that_is_no_name():
    assert not processes.is_here('a..b', ask_dns=True)


@pytest.mark.skipif(sys.platform != 'linux', reason='as Linux has it')
def test_all_loopback_addresses_are_of_this_machine():
    """No interface has it."""
    assert processes.is_here('127.0.7.1')
    assert not processes.is_here('192.0.2.1')
    assert not processes.is_here('2001:db8::1')
