"""Become the user of a server, and read its secrets."""
import json
import os
import pwd
import subprocess
import sys

import pytest

from zc.zkzopeserver import privileges
from zc.zkzopeserver.errors import ConfigurationError

BECOME = '''
import json, os, sys
from zc.zkzopeserver import privileges
user, required, *folders = sys.argv[2:]
if sys.argv[1]:
    os.setuid(int(sys.argv[1]))
privileges.become(user, tuple(folders), required == 'required')
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
    privileges.become('')
    assert os.getuid() == before


def test_a_user_that_there_is_not():
    with pytest.raises(ConfigurationError, match="no user 'nosuch-user'"):
        privileges.become('nosuch-user')


def test_who_we_are_already():
    privileges.become(pwd.getpwuid(os.geteuid()).pw_name, required=True)


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


@is_root
def test_a_folder_is_made_without_its_name_being_trusted(tmp_path):
    """Where others may write, the user makes it, and nothing is followed."""
    shared = tmp_path / 'shared'
    shared.mkdir()
    shared.chmod(0o777)
    (shared / 'run').symlink_to(tmp_path / 'elsewhere')
    assert become('nobody', '', str(shared / 'run')).returncode == 0
    assert not (tmp_path / 'elsewhere').exists()


def test_a_script_that_needs_a_user_ends_with_a_line(capsys):
    with pytest.raises(SystemExit) as caught:
        privileges.drop('nosuch-user')
    assert caught.value.code == 2
    assert "there is no user 'nosuch-user'" in capsys.readouterr().err


def test_secrets_are_code(tmp_path):
    path = tmp_path / 'secrets.py'
    path.write_text('token = "abc"\n')
    found = {}
    exec(privileges.secrets(str(path)), found)
    assert found['token'] == 'abc'
