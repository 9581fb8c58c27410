"""Attacks by whoever may write into the tree, on those who look at it."""
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from kazoo.exceptions import KazooException
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import script
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli import survey
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.settings import InstanceSettings

# What steers a terminal, forges a line, and hides or turns text around.
EVIL = '\x1b[2J\x1b]0;owned\x07\nFORGED\r\x9b31m\u2028FORGED\u202e\u200b\x7f'

# ZooKeeper refuses control characters in names; these it takes.
EVIL_NAME = 'x\u2028FORGED\u202e\u200b\u2066'


def clean(output):
    """Assert that output has no control characters, and no forged line."""
    wrong = {sign for sign in output
             if not sign.isprintable() and sign not in '\n\t'}
    assert not wrong, (wrong, output)
    assert not any(line.startswith(('FORGED', 'web: FORGED'))
                   for line in output.split('\n')), output
    return output


def put(tree, path, **properties):
    """Create a node whose data are properties."""
    tree.create(path, json.dumps(properties).encode(), makepath=True)


@pytest.fixture
def web(zookeeper, tree, short_path):
    """``bin/web``, which serves, among hostile nodes."""
    ini = write_ini(short_path, zookeeper.connection_string,
                    monitor_server='127.0.0.1:0')
    with script(ini) as made:
        made('start')
        pid = made.pid
        for number, monitor in enumerate((EVIL, '/' + EVIL, 'evil:1')):
            put(tree, f'{PATH}/{number}{EVIL_NAME}:80', pid=pid,
                monitor=monitor, **{EVIL: EVIL, f'{EVIL} ->': EVIL})
        put(tree, f'{PATH}/127.0.0.1:1', pid=EVIL, monitor=[EVIL], type=EVIL)
        put(tree, f'{PATH}/{EVIL_NAME}', pid=EVIL)
        tree.create(f'{PATH}/string', EVIL.encode())
        tree.create(f'{PATH}/bytes', b'\xff\x1b[2J')
        tree.create(f'{PATH}/json', b'{"a": \x1b[2J}')
        yield made


def test_no_verb_prints_what_a_terminal_obeys(web, tree):
    for words, status in (
            (['status'], 0), (['status', '--json'], 0),
            (['status', '--nagios'], 0), (['tree'], 0), (['show'], 0),
            (['check'], 0), (['monitor', 'help'], 0),
            (['monitor', 'status'], 0), (['monitor', 'servers'], 0),
            (['monitor', EVIL.replace('\n', ' ')], 0),
            (['monitor', '--at', f'0{EVIL_NAME}:80', 'help'], 1),
            (['monitor', '--at', f'1{EVIL_NAME}:80', 'help'], 1),
            (['monitor', '--at', EVIL, 'help'], 1),
            (['monitor', '--at', 'nobody:1', 'help'], 1),
            (['start'], 0), (['logreopen'], 0), (['reload'], 0),
            (['restart'], 0), (['stop'], 0), (['status'], 3),
            (['forget'], 0)):
        clean(web(*words, status=status))
    clean(web.log())


def test_no_script_prints_what_a_terminal_obeys(
        web, zookeeper, tree, short_path):
    """The nodes are in the tree, and the tree's text goes back into it."""
    file = short_path / 'tree'

    def run(name, *words, status=0):
        function = 'import_' if name == 'import' else name
        done = subprocess.run(
            [sys.executable, '-c', 'import sys; from zc.zk.scripts.zookeeper_'
             f'{name} import {function}; sys.exit({function}())', *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='surrogateescape',
            timeout=60, env=web.environ)
        assert 'Traceback' not in done.stdout, done.stdout
        assert done.returncode == status, done.stdout
        return clean(done.stdout)

    where = zookeeper.connection_string
    assert 'FORGED' in run('export', where, PATH)
    run('export', where, PATH, '-o', str(file))
    run('export', where, PATH, '--format', 'json', '--acl')
    run('export', where, '--format', 'dot')
    run('export', where, f'{PATH}/{EVIL_NAME}x', status=2)
    clean(file.read_text())
    run('validate', str(file))
    parent = PATH.rpartition('/')[0]
    run('diff', where, str(file), '/elsewhere', status=2)
    run('diff', where, str(file), parent)
    file.write_text('/providers\n')
    for words in [[]], [['--all']]:
        run('diff', where, str(file), parent, *words[0], status=1)
    run('diff', where, '--live', f'{PATH}/{EVIL_NAME}',
        f'{PATH}/0{EVIL_NAME}:80', status=1)
    run('import', where, str(file), parent, '--dry-run')
    file.write_text(f'/x\n  {EVIL}\n /y {EVIL_NAME}\n')
    run('validate', str(file), status=2)
    run('set_property', where, f'{PATH}/{EVIL_NAME}', "a='b'")
    put(tree, '/loop', **{'x ->': f'/loop/{EVIL_NAME}'})
    put(tree, f'/loop/{EVIL_NAME}', **{'y ->': '/loop/x/y', 'z ->': EVIL})
    for path in '/loop/x/y', '/loop/x/z', '/loop/x/nix':
        run('set_property', where, path, "a='b'", status=2)
    run('import', where, str(file), f'/{EVIL_NAME}x', status=2)


def test_no_link_forges_a_message(zookeeper, tree, short_path):
    put(tree, '/evil', **{'link ->': f'/no\u2028FORGED{EVIL}'})
    put(tree, '/loop', **{'x ->': f'/loop/{EVIL_NAME}'})
    put(tree, f'/loop/{EVIL_NAME}', **{'y ->': '/loop/x/y'})
    for path in '/evil/link', '/loop/x/y', '/loop/x/nix':
        ini = write_ini(short_path, zookeeper.connection_string, path=path)
        with script(ini) as web:
            for verb, status in ('check', 3), ('tree', 3), ('fg', 3), (
                    'start', 3):
                assert 'option' in clean(web(verb, status=status))
            clean(web.log())


def test_a_pid_forges_no_line_of_the_log(zookeeper, tree, client, short_path):
    """The node is a former self's, by its name: the server replaces it."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    other = client(zookeeper)
    other.create(f'{PATH}/127.0.0.1:{port}', ephemeral=True,
                 value=json.dumps({'pid': EVIL * 100}).encode())
    ini = write_ini(short_path, zookeeper.connection_string, port=str(port))
    with script(ini) as web:
        clean(web('start'))
        log = clean(web.log())
        line, = (line for line in log.split('\n')
                 if 'replaced the node' in line)
        assert len(line) < 300
        web('stop')


# Which monitor servers are asked.

@contextlib.contextmanager
def trap():
    """Listen; yield (address, list of what clients have sent)."""
    heard = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    heard.append(sock.recv(1000))
                    sock.sendall(b'stopping\n')

    with socket.create_server(('127.0.0.1', 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f'127.0.0.1:{listener.getsockname()[1]}', heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize('what', ['trap', 'http', 'socket'])
def test_only_the_monitor_of_our_process_gets_a_command(
        embedded, embedded_tree, short_path, what):
    """Others have names that mean its address, and its pid."""
    ini = write_ini(short_path, embedded.connection_string,
                    monitor_server='127.0.0.1:0')
    with script(ini) as web, trap() as (address, heard):
        web('start')
        own, = embedded_tree.get_children(PATH)
        port = own.rpartition(':')[2]
        for host in ('127.0.0.1:0', 'localhost:', '127.0.0.2:', '0:',
                     '127.1:', '::1:', '[::1]:'):
            put(embedded_tree, f'{PATH}/{host}{port}', pid=web.pid,
                monitor={'trap': address, 'http': f'127.0.0.1:{port}',
                         'socket': '/run/evil.sock'}[what])
        put(embedded_tree, f'{PATH}/127.0.0.1:{port} ', pid=web.pid,
            monitor=address)
        assert web('monitor', 'drain') == 'stopping\n'
        wait_for(lambda: own not in embedded_tree.get_children(PATH))
        assert heard == []


def test_a_chosen_monitor_has_an_address(
        embedded, embedded_tree, short_path):
    """Not the path of any socket on this machine."""
    path = short_path / 'victim'
    ini = write_ini(short_path, embedded.connection_string)
    with script(ini) as web, socket.socket(socket.AF_UNIX) as victim:
        victim.bind(str(path))
        victim.listen()
        victim.settimeout(0.1)
        for name, monitor in (('evil:1', str(path)), ('evil:2', 'no:080'),
                              ('evil:3', './x')):
            put(embedded_tree, f'{PATH}/{name}', pid=web.ini.stat().st_ino,
                monitor=monitor)
            told = web('monitor', '--at', name, 'drain', status=1)
            assert f'the monitor server of {name}: ' in told
        with pytest.raises(TimeoutError):
            victim.accept()


# How long it takes.

def nodes(count, form, **properties):
    return [Provider(form.format(number, number // 250, number % 250),
                     properties)
            for number in range(count)]


@pytest.mark.parametrize('form, who', [
    ('n{0}.attack.invalid:%d', 'us'), ('127.1.2.3:{0}', 'dead'),
    ('127.9.{1}.{2}:%d', 'us')])
def test_a_status_among_thousands_of_nodes(
        short_path, form, who, monkeypatch):
    """With our pid: 25 s for 2,000 names, one after the other."""
    slow = threading.Event()

    def resolve(*arguments, **more):
        # As for a name whose servers do not answer.
        slow.wait(30)
        raise socket.gaierror('slow')

    monkeypatch.setattr(survey, 'LOOK_S', 0.5)
    monkeypatch.setattr(survey, 'ANSWERS_S', 2.0)
    with socket.create_server(('', 0)) as listener:
        if '%' in form:
            form %= listener.getsockname()[1]
        if 'invalid' in form:
            monkeypatch.setattr(socket, 'getaddrinfo', resolve)
        process = subprocess.Popen([sys.executable, '-c', ''])
        process.wait()
        pid = os.getpid() if who == 'us' else process.pid
        settings = InstanceSettings(
            Instance(str(short_path / 'web.ini')), {},
            option_table.parse({'zookeeper': 'z:1', 'path': '/p'}))
        monkeypatch.setattr(survey, 'find', lambda instance: (
            survey.ServerProcess(os.getpid())))
        began = time.monotonic()
        found = survey.survey(settings, nodes(2000, form, pid=pid))
        took = time.monotonic() - began
        slow.set()
    assert len(found.providers) == 2000
    # One after the other, it would be minutes.
    assert took < 20
    assert not found.is_up
    owned = found.of(survey.Owner.OURS)
    assert len(owned) == (2000 if '127.9' in form else 0)


def test_what_the_embedded_server_refuses(embedded_tree):
    """Else the names above would be harmless ones."""
    with pytest.raises(KazooException):
        embedded_tree.create('/\x1b[2J')
    embedded_tree.create(f'/{EVIL_NAME}')
