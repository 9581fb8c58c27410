"""The user of a deployment cannot become root by what the recipe writes.

root runs buildout, the start script, systemd and logrotate.  The user runs
the server, and may do all that the server may.
"""
from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from zkzopeserver_support.recipe_sandbox import Sandbox
from zkzopeserver_support.recipe_sandbox import Store

from zc.zkzopeserver import directories
from zc.zkzopeserver import privileges
from zc.zkzopeserver.recipe.files import File
from zc.zkzopeserver.recipe.files import FileTransaction
from zc.zkzopeserver.recipe.files import NotAFile

USER = 'nobody'

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason='only root has something to lose: run as root')

DEPLOYMENT = f"""
[production]
recipe = zc.recipe.deployment
prefix = ${{buildout:directory}}/system
name = shop
user = {USER}
"""

SECTION = """
[web]
recipe = zc.zkzopeserver
deployment = production
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
path = /shop/web
access_log = access.log
environment-vars =
    DB_PASSWORD tr0ub4dor
    PLACE here
systemd = ${buildout:directory}/system/etc/systemd
logrotate = true
interpreter = py
scripts = hello
tree =
    /shop
"""


@contextlib.contextmanager
def reachable():
    """A directory of root's that other users can get to."""
    path = Path(tempfile.mkdtemp(dir='/var/tmp'))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def place():
    """A directory of root's that other users can get to."""
    with reachable() as path:
        yield path


@pytest.fixture(scope='module')
def store():
    """Distributions that other users can get to."""
    with reachable() as path, contextlib.closing(Store(path / 's')) as made:
        yield made


@pytest.fixture
def sandbox(place, store):
    (place / 'b').mkdir()
    return Sandbox(place / 'b', store)


@contextlib.contextmanager
def as_user(function, *arguments):
    """Call a function in a process of the user's, which ends afterwards.

    The exit status says whether it has returned something.
    """
    entry = pwd.getpwnam(USER)
    child = os.fork()
    if not child:
        status = 2
        try:
            os.setgroups([entry.pw_gid])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            status = 1 if function(*arguments) else 0
        finally:
            os._exit(status)
    status = []
    try:
        yield status
    finally:
        status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def returned(function, *arguments):
    """Whether a function returns something when the user calls it."""
    with as_user(function, *arguments) as status:
        pass
    assert status[0] in (0, 1)
    return bool(status[0])


def can_change(path):
    """Whether this user can write to a file, or make it writable."""
    try:
        found = os.lstat(path)
    except PermissionError:
        # In a directory that is closed to this user.
        return False
    if found.st_uid == os.geteuid():
        return True
    if stat.S_ISLNK(found.st_mode) or (stat.S_ISDIR(found.st_mode)
                                       and found.st_mode & stat.S_ISVTX):
        return False
    return os.access(path, os.W_OK)


def can_change_any(paths):
    """Whether this user can change one of the files."""
    return any(map(can_change, paths))


def executed(script):
    """Yield what the kernel and Python execute for a script."""
    text = script.read_text()
    yield script
    yield Path(text.splitlines()[0].removeprefix('#!'))
    for path in re.findall(r"^  '(/.*)',$", text, re.MULTILINE):
        yield Path(path)
        if not path.endswith('site-packages'):
            yield from Path(path).rglob('*.py')


def test_nothing_that_root_executes_or_obeys_can_be_changed(sandbox):
    sandbox.built(DEPLOYMENT + SECTION)
    system = sandbox.path('system')
    obeyed = [system / 'etc/systemd/shop-web.service',
              system / 'etc/logrotate.d/shop-web',
              sandbox.path('buildout.cfg'), sandbox.path('.installed.cfg')]
    for script in (system / 'etc/init.d/shop-web',
                   *sandbox.path('bin').iterdir()):
        obeyed += executed(script)
    ways = sorted({each for path in obeyed
                   for each in (path, path.resolve(), *path.parents,
                                *path.resolve().parents)})
    assert {Path('/'), sandbox.root, *obeyed} <= set(ways)
    # A process for all of them, and one for each only to name them.
    changed = returned(can_change_any, ways) and [
        path for path in ways if returned(can_change, path)]
    assert not changed
    # The test can fail: what the user may change is told.
    assert returned(can_change, system / 'etc/shop/web.secrets.py')


def test_root_reads_secrets_with_the_rights_of_the_user(sandbox):
    sandbox.built(DEPLOYMENT + SECTION)
    secrets = sandbox.path('system/etc/shop/web.secrets.py')
    told = sandbox.path('system/var/run/shop/told')
    secrets.write_text(
        'import os\n'
        f'with open({str(told)!r}, "w") as file:\n'
        '    print(os.getresuid(), os.getgroups(), file=file)\n'
        'os._exit(0)\n')
    uid = pwd.getpwnam(USER).pw_uid
    for script in sandbox.path('system/etc/init.d/shop-web'), *(
            sandbox.path('bin', name) for name in ('py', 'hello')):
        is_secret = 'secrets.py' in script.read_text()
        assert is_secret == (script.name != 'hello')
        if is_secret:
            subprocess.run([script, 'status'], check=True)
            assert told.read_text().startswith(str((uid, uid, uid)))
            told.unlink()


def test_a_script_that_was_the_users_is_replaced(sandbox):
    script = sandbox.path('system/etc/init.d/shop-web')
    sandbox.built(DEPLOYMENT + SECTION)
    text = script.read_text()
    script.chmod(0o700)
    os.chown(script, pwd.getpwnam(USER).pw_uid, 0)
    with open(script, 'a') as held:
        sandbox.built()
        held.write('import os; os.system("id")\n')
    assert script.read_text() == text
    found = os.stat(script)
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 0, 0o755)


def test_a_link_in_place_of_a_script_is_not_followed(sandbox, place):
    sandbox.built(DEPLOYMENT + SECTION)
    script = sandbox.path('system/etc/init.d/shop-web')
    precious = place / 'precious'
    precious.write_text('precious')
    for path in script, sandbox.path('system/etc/shop/web.ini'):
        path.unlink()
        path.symlink_to(precious)
    sandbox.built()
    assert precious.read_text() == 'precious'
    assert stat.S_ISREG(os.lstat(script).st_mode)


@pytest.mark.parametrize('directory', [
    'system/etc/shop', 'system/etc/init.d', 'system/etc/logrotate.d',
    'system/etc/systemd', 'bin', '.'])
def test_a_place_that_the_user_can_change_is_refused(sandbox, directory):
    sandbox.built(DEPLOYMENT + SECTION)
    path = sandbox.path(directory)
    os.chown(path, pwd.getpwnam(USER).pw_uid, 0)
    before = sandbox.read('system/etc/init.d/shop-web')
    error = sandbox.refused(DEPLOYMENT + SECTION + 'threads = 2\n')
    assert error.strip() == (
        f"[web]: the user 'nobody' of the deployment can change {path}, and"
        ' so become root, who executes or obeys what is there: give it to'
        ' root, writable for nobody else')
    assert not (sandbox.path('system/etc/init.d/shop-web').exists()
                and sandbox.read('system/etc/init.d/shop-web') != before)


def test_eggs_that_the_user_can_change_are_refused(sandbox, place):
    (place / 'lib').mkdir(mode=0o777)
    (place / 'lib').chmod(0o777)
    error = sandbox.refused(DEPLOYMENT + SECTION
                            + f'extra-paths = {place}/lib\n')
    assert f'can change {place}/lib, and so become root' in error


def test_links_that_the_user_can_change_are_found(place, theirs):
    (place / 'real').mkdir()
    (theirs / 'link').symlink_to(place / 'real')
    (place / 'first').symlink_to('theirs/link')
    os.chown(theirs / 'link', 0, 0, follow_symlinks=False)
    found = directories.changeable(str(place / 'first' / 'python'), USER)
    assert found == str(theirs)
    assert directories.changeable(str(place / 'real' / 'python'), USER) == ''
    assert directories.changeable(str(theirs), 'root') == ''


# How often root makes what the user tries to replace.
TRIES = 200


def swap(place, target, end):
    """Put links to `target` in place of whatever appears, until `end` is."""
    while not os.path.exists(end):
        with contextlib.suppress(OSError):
            for name in os.listdir(place):
                path = os.path.join(place, name)
                if os.path.islink(path):
                    os.unlink(path)
                else:
                    os.rename(path, path + '.away')
                    os.symlink(target, path)
    return True


@pytest.fixture
def theirs(place):
    """A directory of the user's."""
    path = place / 'theirs'
    path.mkdir()
    os.chown(path, pwd.getpwnam(USER).pw_uid, -1)
    return path


def test_a_folder_is_not_made_where_the_user_wins_the_race(place, theirs):
    precious = place / 'precious'
    precious.mkdir(0o700)
    uid = pwd.getpwnam(USER).pw_uid
    with as_user(swap, str(theirs), str(precious), str(place / 'end')):
        try:
            for _ in range(TRIES):
                directories.make(str(theirs / 'run'), 0o750, (uid, 0))
        finally:
            (place / 'end').touch()
    found = precious.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o700)


def test_a_file_is_not_given_away_where_the_user_wins_the_race(place,
                                                               theirs):
    precious = place / 'precious'
    precious.write_text('precious')
    precious.chmod(0o600)
    uid = pwd.getpwnam(USER).pw_uid
    with as_user(swap, str(theirs), str(precious), str(place / 'end')):
        try:
            for count in range(TRIES):
                with contextlib.suppress(FileNotFoundError, NotAFile), \
                        FileTransaction() as transaction:
                    transaction.write(File(str(theirs / 'web.ini'),
                                           f'{count}', 0o644, (uid, 0)))
        finally:
            (place / 'end').touch()
    found = precious.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o600)
    assert precious.read_text() == 'precious'


def test_a_directory_is_not_followed_to_where_the_user_leads(place, theirs):
    (place / 'precious').mkdir()
    (theirs / 'etc').symlink_to(place / 'precious')
    with pytest.raises(OSError, match='a symbolic link that others'), \
            FileTransaction() as transaction:
        transaction.write(File(str(theirs / 'etc/web.ini'), 'x'))
    assert os.listdir(place / 'precious') == []
    # Where only root can write, links are root's own.
    (place / 'link').symlink_to('./precious')
    with FileTransaction() as transaction:
        transaction.write(File(str(place / 'link/web.ini'), 'x'))
    assert os.listdir(place / 'precious') == ['web.ini']


def test_the_user_makes_what_root_does_not(theirs):
    def made():
        privileges.become(USER, [str(theirs / 'run')], required=True)

    child = os.fork()
    if not child:
        try:
            made()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    found = (theirs / 'run').stat()
    assert (found.st_uid, found.st_mode & 0o777) == (
        pwd.getpwnam(USER).pw_uid, 0o750)
