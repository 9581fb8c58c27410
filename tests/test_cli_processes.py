"""Become the user that runs a server which root has started."""
import json
import os
import pwd
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
