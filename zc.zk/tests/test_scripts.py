"""Test the commands, as functions and as processes."""
import fcntl
import json
import os
import pty
import signal
import stat
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import psutil
import pytest
from kazoo.security import make_acl
from kazoo.security import make_digest_acl
from zc.zk.scripts import diff
from zc.zk.scripts import export
from zc.zk.scripts import import_
from zc.zk.scripts import set_property
from zc.zk.scripts import validate
from zc.zk.testing.waiting import wait_for
from zc_zk_support.commands import TREE
from zc_zk_support.frames import Frames


@pytest.fixture
def run(capsys):
    """Return a function that calls a command and returns its output."""
    def call(script, *args, status=None):
        capsys.readouterr()
        try:
            assert script(list(args)) == status
        except SystemExit as error:
            assert error.code == status, capsys.readouterr()
            return capsys.readouterr().err
        out, err = capsys.readouterr()
        assert err == ''
        return out

    return call


def process(script, *args, **options):
    """Start a command in a process, without a shell."""
    code = (f'import sys; from zc.zk.scripts import {script};'
            f' sys.exit({script}())')
    environment = {**os.environ,
                   'PYTHONPATH': os.pathsep.join(filter(None, sys.path)),
                   **options.pop('env', {})}
    return subprocess.Popen(
        [sys.executable, '-c', code, *args], env=environment, **options)


def test_import_and_export(where, file, run, tmp_path):
    tree = file(TREE)
    shown = ('add /cms\nadd /cms/providers\nadd /lb\nadd /lb/pools\n')
    assert run(import_, '-d', where, tree) == shown
    assert run(export, where) == '\n'
    assert run(import_, where, tree) == shown + '4 changes made\n'
    assert run(import_, where, tree) == '0 changes made\n'
    assert run(export, where) == TREE
    assert run(export, where, '/lb/pools') == (
        "/pools\n  address = '1.2.3.4:80'\n  providers -> /cms/providers\n")
    assert run(export, where, '/cms', '--name', 'x') == (
        '/x : z4m cms\n  threads = 3\n  /providers\n')
    output = tmp_path / 'output'
    assert run(export, where, f'-o{output}') == ''
    assert output.read_text() == TREE


def test_import_below_a_path(where, file, run):
    run(import_, '-q', where, file(TREE))
    tree = file('/provision\n  /node1\n')
    assert run(import_, where, tree, '/cms') == (
        'add /cms/provision\nadd /cms/provision/node1\n2 changes made\n')
    assert 'there is no node /x' in run(
        import_, where, tree, '/x', status=2)
    assert 'begins with /' in run(import_, where, tree, 'x', status=2)


def test_import_from_standard_input(where, run, monkeypatch, tmp_path):
    for args in ([where], [where, '-', '/']):
        path = tmp_path / 'input'
        path.write_text('/x\n/y')
        with open(path) as stdin:
            monkeypatch.setattr(sys, 'stdin', stdin)
            assert run(import_, '-d', *args) == 'add /x\nadd /y\n'


def test_trim(where, file, run):
    run(import_, '-q', where, file(TREE))
    other = file('/lb : ipvs\n')
    assert run(import_, where, other) == (
        'extra path not trimmed: /lb/pools\n0 changes made\n')
    assert run(import_, '--no-trim', where, other) == '0 changes made\n'
    assert run(import_, '-dt', where, other) == 'delete /lb/pools\n'
    assert run(import_, '-t', where, other) == (
        'delete /lb/pools\n1 change made\n')
    assert '/cms' in run(export, where)


def test_too_many_deletions_are_refused(where, file, run):
    run(import_, '-q', where, file('/a\n' + ''.join(
        f'  /{number}\n' for number in range(51))))
    other = file('/a\n')
    assert run(import_, '-tq', where, other, status=2) == (
        'zookeeper_import: 51 nodes would be deleted, more than'
        ' --max-deletes 50; nothing was changed\n')
    assert len(run(export, where).splitlines()) == 52
    run(import_, '-tq', '--max-deletes=51', where, other)
    assert run(export, where) == '/a\n'


@pytest.mark.parametrize('answer, status, left', [
    ('y', 0, '/a\n'), ('n', 2, '/a\n  /b\n'), ('', 2, '/a\n  /b\n')])
def test_deletions_are_asked_about_on_a_terminal(
        where, file, run, answer, status, left):
    run(import_, '-q', where, file('/a\n  /b\n'))
    main, terminal = pty.openpty()
    try:
        child = process(
            'import_', '-tq', '--max-deletes=0', where, file('/a\n'),
            stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = read_until(main, b'[y/N]')
        assert b'1 node will be deleted. Go on?' in shown
        os.write(main, answer.encode() + b'\n')
        assert child.wait(30) == status
    finally:
        os.close(main)
    assert run(export, where) == left


def read_until(handle, what):
    """Read from a terminal until it has shown `what`; return all of it."""
    shown = b''
    while what not in shown:
        shown += os.read(handle, 1000)
    return shown


def test_backup(where, file, run, tmp_path):
    run(import_, '-q', where, file(TREE + '/other\n'))
    backup = tmp_path / 'backup'
    changed = file('/cms\n/new\n')
    run(import_, '-tq', f'--backup={backup}', where, changed)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    head, text = backup.read_text().split('\n', 1)
    assert head.startswith('# / of ')
    acl = "[ acl ] = ['world:anyone:cdrwa']\n"
    assert text == (f'/cms : z4m cms\n  {acl}  threads = 3\n'
                    f'  /providers\n    {acl}/new\n  [ absent ]\n')
    run(import_, '-tq', where, str(backup))
    assert run(export, where) == TREE + '/other\n'
    # Without a change there is no output.
    backup.unlink()
    run(import_, '-q', f'--backup={backup}', where, file(TREE))
    assert not backup.exists()


def test_a_backup_that_cannot_be_written_stops_the_import(
        where, file, run, tmp_path):
    missing = tmp_path / 'missing' / 'backup'
    error = run(import_, '-q', f'--backup={missing}', where, file(TREE),
                status=2)
    assert error.startswith('zookeeper_import: ')
    assert 'No such file' in error and error.count('\n') == 1
    assert run(export, where) == '\n'


def test_access_control_lists(where, file, run, client):
    connection = client()
    connection.create('/a')
    tree = file('/a\n/b\n')
    run(import_, '-q', '-p', '1', where, tree)
    for path in ('/a', '/b'):
        assert connection.get_acls(path)[0][0].perms == 1
    run(import_, '-q', '--acl=world:anyone:cdrwa', where,
        file('/c\n'))
    assert connection.get_acls('/c')[0][0].perms == 31
    text = run(export, where, '--acl')
    assert text == ("/a\n  [ acl ] = ['world:anyone:r']\n"
                    "/b\n  [ acl ] = ['world:anyone:r']\n"
                    "/c\n  [ acl ] = ['world:anyone:cdrwa']\n")
    assert 'not a number from 0 to 31' in run(
        import_, '-p', '32', where, tree, status=2)
    assert 'is not SCHEME:ID:PERMISSIONS' in run(
        import_, '--acl=x', where, tree, status=2)


def test_ephemeral_nodes(where, file, run, client):
    client().create('/a', b'{"x":1}', ephemeral=True)
    assert run(export, where) == '\n'
    assert run(export, '-e', where) == '/a\n  [ ephemeral ]\n  x = 1\n'
    tree = file('/a\n')
    assert run(import_, where, tree) == (
        'left alone, as it is ephemeral: /a\n0 changes made\n')
    assert run(import_, '--force', where, tree) == (
        '/a remove property x = 1\n1 change made\n')
    assert run(diff, where, file('/b\n'), status=1) == 'add /b\n'


def test_formats(where, file, run):
    run(import_, '-q', where, file(TREE + '/web\n  /providers\n'
                                   '  database -> /cms/providers\n'))
    told = json.loads(run(export, where, '--format=json', '--acl'))
    assert told['children']['cms']['properties'] == {
        'type': 'z4m cms', 'threads': 3}
    assert told['children']['cms']['acl'] == ['world:anyone:cdrwa']
    assert run(export, where, '--format=dot') == (
        'digraph g {\n  "/cms";\n  "/web" -> "/cms";\n}\n')


def test_set_property_where_it_is_not_allowed(where, run, client):
    secret = make_digest_acl('user', 'secret', all=True)
    owner = client(auth_data=[('digest', 'user:secret')])
    owner.create('/a', b'', [secret])
    assert run(set_property, where, '/a', 'x=1', status=2) == (
        'zookeeper_set_property: not allowed: /a (READ)\n')
    owner.set_acls('/a', [secret, make_acl('world', 'anyone', read=True)])
    assert run(set_property, where, '/a', 'x=1', status=2) == (
        'zookeeper_set_property: not allowed: /a (WRITE)\n')
    owner.delete('/a')


def test_set_property(where, file, run):
    run(import_, '-q', where, file(TREE))
    assert run(set_property, where, '/lb/pools/providers', 'threads=4',
               'debug=True', "comment='a = b'", 'link -> /x') == (
        "/cms/providers add property comment = 'a = b'\n"
        '/cms/providers add property debug = True\n'
        '/cms/providers add link link -> /x\n'
        '/cms/providers add property threads = 4\n')
    assert run(set_property, where, '/cms/providers', 'debug=1',
               'threads=4') == (
        '/cms/providers change property debug from True to 1\n')
    assert run(set_property, where, '/cms/providers', 'debug=1') == ''
    assert run(set_property, where, '/cms', 'x', 'y=z', '/w', 'v=1\n/u',
               status=2).splitlines() == [
        'zookeeper_set_property: expected /NODE, NAME = LITERAL,'
        " NAME -> PATH or NAME => PATH [NAME]: 'x'",
        "zookeeper_set_property: 'z' is not a literal: 'y=z'",
        "zookeeper_set_property: expected NAME=LITERAL: '/w'",
        r"zookeeper_set_property: a property is one line: 'v=1\n/u'",
    ]
    assert 'there is no node /x' in run(
        set_property, where, '/x', 'x=1', status=2)


def test_validate(file, run):
    assert run(validate, file(TREE)) == ''
    bad = file('/a\n  b = (\n  /c\n  /c\n')
    assert run(validate, bad, status=2) == (
        f"zookeeper_validate: {bad}: line 2: it ends too early: 'b = ('\n"
        f"zookeeper_validate: {bad}: line 4: duplicate node: '/c'\n")
    large = file('/a\n  b = "' + 'x' * 2 ** 20 + '"')
    assert run(validate, large, status=2) == (
        f'zookeeper_validate: {large}: /a: more than ZooKeeper takes\n')
    assert 'No such file' in run(validate, large + 'x', status=2)


def test_files_that_are_no_text(run, tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'/a\n  b = "\xff"')
    assert run(validate, str(path), status=2) == (
        f'zookeeper_validate: {path}: not UTF-8 text: invalid start byte at'
        ' byte 10\n')
    path.write_bytes(b'\xef\xbb\xbf/a\r\n  b = 1\r\n')
    assert run(validate, str(path)) == ''


def test_diff(where, file, run):
    run(import_, '-q', where, file(TREE))
    assert run(diff, where, file(TREE)) == ''
    assert run(diff, where, file('/lb : ipvs\n'), status=1) == (
        'delete /lb/pools\n')
    assert run(diff, '-a', where, file('/lb : ipvs\n'), status=1) == (
        'delete /cms/providers\ndelete /cms\ndelete /lb/pools\n')
    assert run(diff, where, file('/pools\n  a = 1\n'), '/lb', status=1) == (
        '/lb/pools add property a = 1\n'
        "/lb/pools remove property address = '1.2.3.4:80'\n"
        '/lb/pools remove link providers -> /cms/providers\n')
    told = json.loads(run(diff, '--json', where, file('/cms\n  threads = 4'),
                          status=1))
    assert told[0] == {'kind': 'change property', 'path': '/cms',
                       'name': 'threads', 'old': 3, 'new': 4}
    assert json.loads(run(diff, '--json', where, file(TREE))) == []
    assert 'No such file' in run(diff, where, 'missing', status=2)


def test_diff_of_two_live_nodes(where, file, run):
    run(import_, '-q', where, file(
        '/a\n  x = 1\n  /b\n/c\n  x = 2\n  /d\n/e\n  x = 1\n  /b\n'))
    assert run(diff, '-l', where, '/a', '/e') == ''
    assert run(diff, '-l', where, '/a', '/c', status=1) == (
        '/c change property x from 2 to 1\ndelete /c/d\nadd /c/b\n')
    run(import_, '-q', '-p1', where, file('/e\n'))
    assert run(diff, '-l', where, '/a', '/e', status=1)
    assert 'begins with /' in run(diff, '-l', where, 'a', '/e', status=2)


def test_diff_of_access_control_lists(where, file, run):
    run(import_, '-q', where, file('/a\n/b\n'))
    run(import_, '-q', '-p1', where, file('/b\n'))
    assert run(diff, '-l', where, '/a', '/b') == ''
    assert run(diff, '-l', '--acl', where, '/a', '/b', status=1) == (
        '/b change ACL from world:anyone:r to world:anyone:cdrwa\n')
    exported = file(run(export, '--acl', where))
    assert run(diff, where, exported) == ''


def test_authentication(where, file, run, client):
    secret = file('# ours\ndigest user:secret\n', 'secret', 0o600)
    tree = file('/a\n')
    run(import_, '-q', '--auth-file', secret, '--acl=auth::cdrwa', where,
        tree)
    assert run(export, where, status=2) == (
        'zookeeper_export: not allowed: /a (READ)\n')
    assert run(export, '--auth-file', secret, where) == '/a\n'
    connection = client()
    connection.add_auth('digest', 'user:secret')
    connection.delete('/a')


@pytest.mark.parametrize('text, mode, said', [
    ('digest user:secret', 0o640, 'others may read or change it (mode 0640)'),
    ('digest user', 0o600, 'line 1 is not digest USER:PASSWORD'),
    ('plain user:secret', 0o600, 'line 1 is not digest USER:PASSWORD'),
    ('', 0o600, 'there is no line digest USER:PASSWORD'),
])
def test_files_with_credentials_are_checked(file, run, text, mode, said):
    path = file(text, 'secret', mode)
    error = run(export, '--auth-file', path, '127.0.0.1:1', status=2)
    assert error.startswith(f'zookeeper_export: {path}: ') and said in error
    assert error.count('\n') == 1 and 'user' not in error.replace(path, '')


def test_no_server_answers(run):
    error = run(export, '127.0.0.1:1', '--session-timeout=1', status=2)
    assert error.startswith('zookeeper_export: no ZooKeeper answered ')
    assert error.count('\n') == 1


def test_errors_are_one_line_and_no_traceback(where, run):
    error = run(export, where, '/x', status=2)
    assert error == 'zookeeper_export: there is no node /x\n'
    assert 'is not a number of seconds' in run(
        export, where, '--session-timeout=x', status=2)


def test_an_import_that_fails_says_how_far_it_went(where, file, run, client):
    connection = client()
    connection.create('/a')
    run(import_, '-q', '-p1', where, file('/a\n'))
    error = run(import_, '-q', where, file('/a\n  x = 1\n/b\n'), status=2)
    assert error == ('zookeeper_import: /a: cannot set the data:'
                     ' NoAuthError; 0 of 2 changes were made\n')
    assert not connection.exists('/b')


def test_the_output_is_utf_8_and_ends_quietly(where, file):
    path = file('/é\n' + ''.join(
        f'/{number:030000}\n' for number in range(100)))
    child = process('import_', '-q', where, path)
    assert child.wait(60) == 0
    child = process('export', where, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, env={'LC_ALL': 'C',
                                                 'PYTHONUTF8': '0'})
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, b'')
    assert out.endswith('/é\n'.encode())
    child = process('export', where, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    child.stdout.read(10)
    child.stdout.close()
    assert child.stderr.read() == b''
    child.stderr.close()
    assert child.wait(30) == 2


def test_an_interrupt_is_no_traceback(where, file, run):
    run(import_, '-q', where, file(TREE))
    reading, goes_on = threading.Event(), threading.Event()

    def wait(type_):
        if type_ == 22:
            reading.set()
            goes_on.wait(30)

    with Frames(where, on_request=wait) as frames:
        child = process('export', frames.connection_string,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert reading.wait(30)
            wait_until_idle(child)
            child.send_signal(signal.SIGINT)
            goes_on.set()
            out, err = child.communicate(timeout=30)
        finally:
            goes_on.set()
            child.kill()
            child.wait()
    assert (child.returncode, out, err) == (130, b'', b'')


def test_an_interrupted_import_says_how_far_it_went(where, file, run):
    tree = file('/a\n' + ''.join(
        f'  /{number:04}\n' for number in range(2999)))
    sending, goes_on = threading.Event(), threading.Event()

    def wait(type_):
        if type_ == 14:
            sending.set()
            goes_on.wait(30)

    with Frames(where, on_request=wait) as frames:
        child = process('import_', '-q', frames.connection_string, tree,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert sending.wait(30)
            wait_until_idle(child)
            child.send_signal(signal.SIGINT)
            wait_until_idle(child)
            goes_on.set()
            out, err = child.communicate(timeout=30)
        finally:
            goes_on.set()
            child.kill()
            child.wait()
    # The batches in flight, and no more.
    assert (child.returncode, out, err.decode()) == (
        130, b'', 'zookeeper_import: interrupted; 2000 of 3000 changes were'
        ' made, the last was: add /a/1998\n')
    assert len(run(export, where).splitlines()) == 2000
    assert run(import_, '--quiet', where, tree) == ''
    assert run(diff, where, tree) == ''


def wait_until_idle(child):
    """Wait until a process sleeps: kazoo swallows a signal while it sends.

    A thread that waits for a processor is not asleep.
    """
    seen = []

    def is_idle():
        states = {path.read_text().rpartition(') ')[2][0] for path in
                  Path(f'/proc/{child.pid}/task').glob('*/stat')}
        if states != {'S'}:
            seen.clear()
        seen.append(psutil.Process(child.pid).cpu_times()[:2])
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    wait_for(is_idle, 30)


def test_output_files_are_replaced_whole(where, file, run, tmp_path):
    run(import_, '-q', where, file(TREE))
    old = file('old', 'output', 0o640)
    link = tmp_path / 'link'
    link.symlink_to(old)
    run(export, where, '-o', str(link))
    assert link.is_symlink()
    assert (tmp_path / 'output').read_text() == TREE
    assert stat.S_IMODE(os.stat(old).st_mode) == 0o640
    assert 'there is no node' in run(
        export, where, '/x', '-o', old, status=2)
    assert (tmp_path / 'output').read_text() == TREE
    assert sorted(os.listdir(tmp_path)) == ['link', 'output', 'tree.txt']
    assert run(export, where, '-o', '/dev/null') == ''


def test_progress_is_shown_on_a_terminal():
    pytest.importorskip('tqdm')
    code = ('from zc.zk.scripts import files; files.PROGRESS_DELAY_S = 0\n'
            'with files.progress("reading", 10) as report:\n'
            '    for done in range(11): report(done)\n')
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('4H', 25, 80, 0, 0))
    try:
        child = subprocess.Popen(
            [sys.executable, '-c', code], stderr=terminal, env={
                **os.environ, 'PYTHONPATH': os.pathsep.join(
                    filter(None, sys.path))})
        os.close(terminal)
        assert b'reading' in read_until(main, b'%')
        wait_for(lambda: child.poll() is not None)
        assert child.returncode == 0
    finally:
        os.close(main)


@pytest.mark.parametrize('redirection, said', [
    ('>/dev/full', 'standard output: No space left on device'),
    ('>&-', 'standard output: Bad file descriptor'),
    ('-o /dev/full', '/dev/full: No space left on device'),
    ('-o /nowhere/file', '/nowhere/file: No such file or directory'),
])
def test_output_that_cannot_be_written_is_named(
        where, file, run, redirection, said):
    run(import_, '-q', where, file(TREE))
    script = ('from zc.zk.scripts import export; import sys;'
              ' sys.exit(export())')
    done = subprocess.run(
        f'"$PYTHON" -c "$SCRIPT" "$WHERE" {redirection}', shell=True,
        stderr=subprocess.PIPE, text=True, timeout=60, check=False, env={
            **os.environ, 'PYTHON': sys.executable, 'SCRIPT': script,
            'WHERE': where})
    assert done.stderr == f'zookeeper_export: {said}\n'
    assert done.returncode == 2


def test_standard_input_that_is_closed_is_named(run, monkeypatch):
    monkeypatch.setattr(sys, 'stdin', None)
    assert run(validate, status=2) == (
        'zookeeper_validate: standard input: Bad file descriptor\n')


def test_an_empty_connection_string_is_refused(run, file):
    """An empty shell variable must not mean the default servers."""
    for connection in ('', ' '):
        assert 'CONNECTION: it is empty' in run(
            import_, connection, file(TREE), status=2)
