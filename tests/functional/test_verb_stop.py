"""The verb `stop`: what it waits for, and what it kills."""
import contextlib
import os
import signal
import sys

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.processes import START
from zkzopeserver_support.processes import Process
from zkzopeserver_support.processes import asking
from zkzopeserver_support.processes import is_alive
from zkzopeserver_support.processes import registered
from zkzopeserver_support.processes import started
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get


def test_stop_without_a_manager(local, embedded):
    """The manager was killed, and the server serves on."""
    web = local()
    web('start')
    manager = web.processes()[0]
    assert 'zdaemon' in manager.cmdline()
    manager.kill()
    wait_for(lambda: len(web.processes()) == 1, 10, 'its end')
    assert 'not started by `start`' in web('status')
    assert 'already running' in web('start')
    assert web('stop').endswith('web: stopped\n')
    assert embedded.zk.get_children(PATH) == []
    assert web('stop') == 'web: not running\n'
    assert web('status', status=3) == 'web: not running\n'


def test_a_second_stop_waits_with_the_first(local, embedded, tmp_path):
    gate = tmp_path / 'gate'
    web = local(threads='2', graceful_timeout='300',
                app='call:zkzopeserver_support.running:make_gated\n'
                    f'gate = {gate}')
    web('start')
    [address] = embedded.zk.get_children(PATH)
    slow, results = asking(address)
    wait_for(lambda: get(address)[0] == 200, 10)
    with contextlib.ExitStack() as stack:
        stops = []
        # Each waits for the one before, so that the last is late enough to
        # be a second signal.
        for _ in range(5):
            stop = stack.enter_context(started(web.ini, 'stop'))
            stops.append(stop)
            wait_for(lambda stop=stop: 'stopping pid' in stop.output, 30,
                     lambda stop=stop: stop.output)
        gate.touch()
        assert [stop.ended() for stop in stops] == [0] * 5, [
            stop.output for stop in stops]
    slow.join()
    assert results[0][0] == 200, results
    assert 'exit status 0' in web.log()


@pytest.mark.parametrize('text', [None, 'no section\n'])
def test_stop_without_an_ini(local, embedded, text):
    """The ini was removed or broken while the server runs."""
    web = local()
    web('start')
    web.ini.unlink()
    if text:
        web.ini.write_text(text)
    said = web('status', status=4)
    assert said.startswith(f'web: {web.ini}: '), said
    assert 'Errno' not in said
    assert web('stop').endswith('web: stopped\n')
    assert not web.file('pid').exists()


def setting(**constants):
    """Return code that sets constants, ``MODULE__NAME=VALUE``."""
    return (
        'from zc.zkzopeserver.cli import settings;'
        'from zc.zkzopeserver.cli.verbs import stop;') + ''.join(
        f'{name.replace("__", ".")} = {value};'
        for name, value in constants.items())


@pytest.mark.parametrize('change', [
    None, 'no section\n', ('graceful_timeout = 300', 'graceful_timeout = x'),
    ('path = /', 'path = ')])
@pytest.mark.parametrize('workers', ['1', '2'])
def test_stop_waits_long_when_the_ini_does_not_tell(
        local, embedded, tmp_path, change, workers):
    """The server drains as long as it was told when it was started."""
    gate = tmp_path / 'gate'
    web = local(workers=workers, graceful_timeout='300', threads='2',
                app='call:zkzopeserver_support.running:make_gated\n'
                    f'gate = {gate}')
    code = setting(settings__OTHERS_S=0.2, settings__STOP_MARGIN_S=-100,
                   stop__TELL_S=0.2)
    with started(web.ini) as process:
        address, *_ = registered(embedded.zk, process, count=int(workers))
        thread, results = asking(address)
        wait_for(lambda: get(address, timeout=30)[0] == 200)
        text = web.ini.read_text()
        web.ini.unlink()
        if change:
            web.ini.write_text(text.replace(*change)
                               if isinstance(change, tuple) else change)
        with contextlib.closing(stop_with(web, code)) as stop:
            wait_for(lambda: f'waiting for pid {process.pid}' in stop.output,
                     30, lambda: stop.output)
            gate.touch()
            assert stop.ended() == 0, stop.output
        assert stop.output.endswith('web: stopped\n')
        assert process.ended() == 0, process.output
        thread.join()
    assert results[0][0] == 200, results


def test_stop_without_an_ini_kills_the_workers_as_well(local, embedded):
    web = local(workers='2', session_timeout='60000')
    with started(web.ini) as process:
        registered(embedded.zk, process, count=2)
        web.ini.unlink()
        family = web.processes()
        assert len(family) == 3
        for each in family:
            each.suspend()
        with contextlib.closing(stop_with(
                web, setting(settings__UNKNOWN_S=0.5))) as stop:
            assert stop.ended() == 0, stop.output
        assert 'stopped; it was killed' in stop.output
        assert not any(is_alive(each) for each in family)


def test_stop_kills_what_does_not_end(local, embedded, tmp_path):
    """No node and no process is left, long before the session times out."""
    web = local(session_timeout='60000')
    web('start')
    os.kill(web.pid, signal.SIGSTOP)
    with contextlib.closing(stop_with(web, setting(
            settings__InstanceSettings__stop_timeout_s=0.5))) as stop:
        assert stop.ended() == 0, stop.output
    assert 'stopped; it was killed, as it took longer than' in stop.output
    assert embedded.zk.get_children(PATH) == []
    assert web.processes() == []
    assert web('status', status=3) == 'web: not running\n'


def stop_with(web, code):
    """Run `stop` in a process that executes `code` first."""
    return Process([sys.executable, '-c', code + START, str(web.ini), 'stop'],
                   web.ini.parent, PYTHONPATH=os.pathsep.join(sys.path))
