"""The verbs `reload`, `restart` and `logreopen`."""
import json
import os
import signal
import socket

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import LOGGING
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get


def test_restart_and_reload_of_one_process(local, embedded):
    web = local()
    # Not running: `restart` starts it.
    assert 'up, pid' in web('restart')
    first, = embedded.zk.get_children(PATH)
    pid = web.pid
    said = web('reload').splitlines()
    assert said[0] == ('web: it is one process (workers = 1), which cannot be'
                       ' replaced without a gap: restarting it instead')
    second, = embedded.zk.get_children(PATH)
    assert second != first and web.pid != pid
    web('stop')


def test_reload_rolls_several_workers(web, tree):
    web.options = ('workers=2',)
    assert '(2 workers)' in web('start')
    before = registered(tree, count=2)
    # What `start` was given on its command line need not be repeated.
    web.options = ()
    said = web('reload')
    after = registered(tree, count=2)
    assert not {data['pid'] for data in before.values()} & {
        data['pid'] for data in after.values()}
    assert said.endswith('reloaded: 2 workers replaced\n')
    assert '2 of 2 registered and answering' in web('status')

    # All monitor servers are asked, or that of the chosen provider.
    said = web('monitor', 'loglevel')
    assert said == ''.join(f'{name}:\nroot: INFO\n' for name in sorted(after))
    chosen = max(after)
    said = web('monitor', '--at', chosen, 'status', 'json')
    assert json.loads(said)['nodes'] == [f'{PATH}/{chosen}']
    assert 'web: no provider is registered at x:1; there are ' + min(
        after) in web('monitor', '--at', 'x:1', 'status', status=1)

    # Workers that are out of rotation are found as well.
    web('monitor', '--at', chosen, 'deregister')
    assert tree.get_children(PATH) == [min(after)]
    told = json.loads(web('status', '--json', status=150))
    assert told['deregistered_pids'] == [after[chosen]['pid']]
    assert '1 of 2 registered and answering, 1 taken out by an operator' in (
        web('status', status=150))
    said = web('monitor', 'register').splitlines()
    assert sorted(said[1::2]) == ['registered', 'registered']
    assert f'pid {after[chosen]["pid"]}:' in said
    assert sorted(tree.get_children(PATH)) == sorted(after)
    web('stop')
    assert tree.get_children(PATH) == []
    assert web.processes() == []


def test_a_reload_that_fails_leaves_the_old_workers(local, embedded,
                                                    tmp_path):
    web = local(workers='2', loggers='INFO')
    web('start')
    before = sorted(embedded.zk.get_children(PATH))
    # The option is right, but this machine has no such address.
    write_ini(tmp_path, embedded.connection_string, workers='2',
              host='203.0.113.1')
    said = web('reload', status=1)
    assert 'not reloaded: new worker ' in said and 'has ended' in said
    assert '2 of 2 old workers are left' in said
    assert 'cannot listen on 203.0.113.1' in said
    assert sorted(embedded.zk.get_children(PATH)) == before
    # The option is wrong: nothing is tried.
    ini = write_ini(tmp_path, embedded.connection_string, workers='0')
    assert "option 'workers': '0' is not" in web('reload', status=2)
    assert "option 'workers': '0' is not" in web('restart', status=2)
    assert sorted(embedded.zk.get_children(PATH)) == before
    # A server with a wrong ini can be stopped.
    ini.write_text(ini.read_text().replace('path', 'pth'))
    web('stop')
    assert web.processes() == []


def test_logs_after_a_rotation(local, tmp_path, embedded):
    access = tmp_path / 'access.log'
    web = local(access_log=str(access), loggers=f'''
<logger>
  level INFO
  <logfile>
    path {tmp_path}/event.log
  </logfile>
</logger>''')
    assert web('logreopen') == 'web: not running\n'
    web('start')
    address, = embedded.zk.get_children(PATH)
    logs = [access, tmp_path / 'event.log', web.file('log')]
    for log in logs:
        log.rename(f'{log}.1')
    assert web('logreopen').startswith('web: told zdaemon and pid ')
    wait_for(lambda: 'log files opened anew' in (
        tmp_path / 'event.log').read_text(), 10, 'the new log')
    get(address, '/after')
    wait_for(lambda: 'GET /after ' in access.read_text(), 10,
             'the new access log')
    web('stop')
    assert 'zdaemon Exiting' in web.log()


@pytest.mark.parametrize('workers', ['1', '2'])
def test_a_log_that_cannot_be_opened_again(local, tmp_path, embedded,
                                           workers):
    """Each process says what has failed, and by what it goes on."""
    access = tmp_path / 'access.log'
    web = local(access_log=str(access), workers=workers)
    web.ini.write_text(web.ini.read_text() + LOGGING)
    web('start')
    pids = {node['pid'] for node in registered(
        embedded.zk, count=int(workers)).values()}
    assert web('logreopen').startswith('web: told zdaemon and pid ')
    for log in access, tmp_path / 'event.log':
        log.rename(f'{log}.1')
        log.mkdir()
    said = web('logreopen', status=1)
    for pid in pids:
        assert (f'web: pid {pid}: log file {tmp_path}/event.log: Is a'
                ' directory') in said
        assert (f'web: pid {pid}: the access log {access} cannot be opened'
                ' again: Is a directory') in said
    # The parent has no access log.
    assert said.count('event.log') == len({*pids, web.pid})
    assert 'opened anew' in (tmp_path / 'event.log.1').read_text()
    for log in access, tmp_path / 'event.log':
        log.rmdir()
    web('logreopen')
    assert access.is_file() and (tmp_path / 'event.log').is_file()
    assert list(tmp_path.glob('*.reopened-*')) == []
    web('stop')


def test_a_transcript_that_cannot_be_opened_again(local, embedded):
    web = local()
    web('start')
    web.file('log').rename(f'{web.file("log")}.1')
    web.file('log').mkdir()
    assert 'web.log' in web('logreopen', status=1)
    web.file('log').rmdir()
    web('logreopen')
    assert web.file('log').is_file()
    web('stop')


@pytest.mark.clock
def test_a_server_that_does_not_open_its_logs(local, embedded):
    web = local()
    web('start')
    os.kill(web.pid, signal.SIGSTOP)
    try:
        assert (f'web: pid {web.pid} has not said within 10 s that its log'
                ' files are open again: see its log'
                ) in web('logreopen', status=1)
    finally:
        os.kill(web.pid, signal.SIGCONT)
    web('stop')


def test_what_a_killed_verb_has_left(local, embedded, tmp_path):
    web = local()
    web('start')
    left = tmp_path / 'web.reopened-0'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(left))
    strange = tmp_path / 'web.reopened-1'
    strange.symlink_to('/dev/null')
    web('logreopen')
    assert not left.exists() and strange.is_symlink()
    web('stop')
