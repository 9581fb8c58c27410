"""The verbs of bin/NAME together, from start to stop."""
import json
import socket

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import script
from zkzopeserver_support.processes import started
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get


def test_from_start_to_stop(web, tree):
    """One test for all, as each verb takes a process."""
    assert web('status', status=3) == 'web: not running\n'
    assert 'web: up, pid ' in web('start')
    # The node is there when `start` returns.
    (address, data), = registered(tree).items()
    assert get(address)[0] == 200
    assert data['pid'] == web.pid
    assert web('status').splitlines()[1:] == [
        f'  {address} (pid {web.pid}): registered, answers 200']

    found = json.loads(web('status', '--json'))
    assert (found['state'], found['pid']) == ('running', web.pid)
    assert web('status', '--nagios').startswith('web OK: running, pid ')
    assert web('tree') == (
        f'/providers\n  /{address}\n    [ ephemeral ]\n'
        f"    monitor = '{data['monitor']}'\n"
        f'    pid = {web.pid}\n')

    # Out of rotation and back: meanwhile its monitor is not in ZooKeeper.
    assert web('monitor', 'deregister') == 'withdrawn\n'
    assert tree.get_children(PATH) == []
    assert f'pid {web.pid}: alive, taken out by an operator' in web(
        'status', status=150)
    assert web('monitor', 'register') == 'registered\n'
    assert tree.get_children(PATH) == [address]

    said = web('stop')
    assert tree.get_children(PATH) == []
    assert said.endswith('web: stopped\n')
    assert web.processes() == []
    assert not web.file('pid').exists() and not web.file('sock').exists()
    assert web('stop') == 'web: not running\n'
    assert web('status', status=3) == 'web: not running\n'


def test_a_server_that_is_not_ours(tmp_path):
    """The recipe's ``use-server`` makes such an ini; here for waitress."""
    pytest.importorskip('waitress')
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    ini = tmp_path / 'web.ini'
    ini.write_text(f'''\
[app:main]
use = call:zc.zkzopeserver.hello:make_hello
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
''')
    with script(ini) as web:
        assert f'at 127.0.0.1:{port}' in web('start')
        assert get(f'127.0.0.1:{port}')[0] == 200
        assert 'answering\n' in web('status')
        assert 'not zc.zkzopeserver' in web('tree', status=2)
        assert web('stop').endswith('web: stopped\n')
        assert web('status', status=3) == 'web: not running\n'
        assert web.processes() == []


def test_show_tells_of_what_start_was_given(local, embedded):
    web = local()
    web('start', '-o', 'threads=3', '-o', 'backlog=7')
    shown = web('show', '-o', 'backlog=8').splitlines()
    for words in (['threads', '3', '(given', 'to', 'start)'],
                  ['backlog', '8', '(command', 'line)'],
                  ['workers', '1', '(default)']):
        assert words in [line.split() for line in shown]
    web('stop')
    assert ['threads', '1', '(default)'] in [
        line.split() for line in web('show').splitlines()]


def test_status_when_zookeeper_is_away(local, embedded, tmp_path):
    web = local(wait='serve', loggers='INFO')
    with socket.create_server(('127.0.0.1', 0)) as free:
        nowhere = f'127.0.0.1:{free.getsockname()[1]}'
    web.options = (f'zookeeper={nowhere}',)
    with started(web.ini, '-o', f'zookeeper={nowhere}') as process:
        wait_for(lambda: 'serving on' in process.output, 30,
                 lambda: process.output)
        said = web('status', status=4)
        assert 'whether it is registered is not known' in said
        assert nowhere in said
        said = web('status', '--nagios', status=3)
        assert said.startswith('web UNKNOWN: ')
        assert process.stopped() == 0


def test_status_with_a_wrong_ini(tmp_path):
    ini = write_ini(tmp_path, 'x:1', port='x')
    with script(ini) as web:
        assert "option 'port'" in web('status', status=4)
        said = web('status', '--nagios', status=3)
        assert said.startswith('web UNKNOWN: ')
        assert said.count('\n') == 1
