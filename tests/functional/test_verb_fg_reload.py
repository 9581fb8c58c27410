"""``fg --reload``: a server that follows the changes of its files."""
from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sys
import time

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get

pytest.importorskip('hupper')

MODULE = '''
def make(global_conf, said='nothing'):
    def application(environ, start_response):
        start_response('200 OK', [])
        return [('%s ' + said).encode()]
    return application
'''


@pytest.fixture
def site(embedded, embedded_tree, tmp_path):
    """A folder with a module of an application, an ini and a template."""
    (tmp_path / 'acme.py').write_text(MODULE % 'first')
    (tmp_path / 'page.pt').write_text('page')
    write_ini(tmp_path, embedded)
    return tmp_path


def write_ini(folder, zookeeper, said='one', **options):
    return processes.write_ini(
        folder, zookeeper.connection_string,
        f'call:acme:make\nsaid = {said}',
        **{'reload_files': '*.pt', **options})


@contextlib.contextmanager
def reloading(folder, *before):
    """Run ``fg --reload``; `before` is the command in place of bin/web."""
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    environment = {'PYTHONPATH': path, 'HUPPER_DEFAULT_MONITOR':
                   'hupper.polling.PollingFileMonitor'}
    ini = folder / 'web.ini'
    if not before:
        with processes.started(ini, 'fg', '--reload',
                               **environment) as process:
            yield process
        return
    process = processes.Process([*before, str(ini), 'fg', '--reload'], folder,
                                **environment)
    try:
        yield process
    finally:
        process.close()


def node(tree, process, other_than=None):
    """Wait for the only node, which is not that one; return its name."""
    def look():
        assert process.popen.poll() is None, process.output
        names = tree.get_children(PATH)
        return len(names) == 1 and names[0] != other_than and names[0]
    return wait_for(look, 30, lambda: process.output)


def change(path, condition, message):
    """Give a file a later time until the condition holds; return its value.

    hupper compares times of whole polls, and may have looked at the file for
    the first time only after a change.
    """
    for attempt in range(1, 12):
        later = time.time() + attempt
        os.utime(path, (later, later))
        with contextlib.suppress(AssertionError):
            return wait_for(condition, 5)
    raise AssertionError(message())


def renewed(tree, process, path, old, text):
    """Change a file until another server answers; return its node's name.

    It may start once more, where the machine is so busy that the file had to
    be changed twice.
    """
    def look():
        for name in set(tree.get_children(PATH)) - {old}:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if get(name)[1] == text:
                    return name
        return None

    return change(path, look, lambda: process.output)


def test_what_it_follows(site, embedded, embedded_tree):
    write_ini(site, embedded, workers='2')
    with reloading(site) as process:
        first = node(embedded_tree, process)
        assert get(first)[1] == 'first one'
        wait_for(lambda: "option 'workers': one process serves instead of 2"
                 in process.output)
        (site / 'acme.py').write_text(MODULE % 'second')
        second = renewed(embedded_tree, process, site / 'acme.py', first,
                         'second one')
        write_ini(site, embedded, 'two')
        third = renewed(embedded_tree, process, site / 'web.ini', second,
                        'second two')
        renewed(embedded_tree, process, site / 'page.pt', third, 'second two')
        assert process.stopped() == 0
    assert embedded_tree.get_children(PATH) == []
    assert not (site / 'web.pid').exists()
    assert 'Traceback' not in process.output


def test_a_broken_module_is_told_and_waited_for(site, embedded_tree):
    (site / 'acme.py').write_text('def make(:\n')
    with reloading(site) as process:
        wait_for(lambda: 'SyntaxError: ' in process.output, 30,
                 lambda: process.output)
        wait_for(lambda: 'Waiting for a file to change' in process.output, 30,
                 lambda: process.output)
        assert embedded_tree.get_children(PATH) == []
        (site / 'acme.py').write_text(MODULE % 'mended')
        name, = change(site / 'acme.py',
                       lambda: embedded_tree.get_children(PATH),
                       lambda: process.output)
        assert get(name)[1] == 'mended one'
        assert process.stopped() == 0


@pytest.mark.parametrize('option', ['threads', 'reload_files'])
def test_a_wrong_option_is_told_and_waited_for(site, embedded, embedded_tree,
                                               option):
    write_ini(site, embedded, **{option: ','})
    with reloading(site) as process:
        wait_for(lambda: f"web: server section of web.ini: option '{option}'"
                 in process.output, 30, lambda: process.output)
        write_ini(site, embedded)
        name, = change(site / 'web.ini',
                       lambda: embedded_tree.get_children(PATH),
                       lambda: process.output)
        assert get(name)[0] == 200
        assert process.stopped() == 0
        assert 'Traceback' not in process.output


def test_no_server_outlives_the_process_that_watches(site, embedded_tree):
    with reloading(site) as process:
        node(embedded_tree, process)
        process.signal(signal.SIGKILL)
        process.ended()
        processes.gone(embedded_tree)


def test_a_terminal_interrupts_both(site, embedded_tree):
    with reloading(site, 'setsid', sys.executable, '-c', processes.START
                   ) as process:
        node(embedded_tree, process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.ended() == 0
    assert embedded_tree.get_children(PATH) == []


def test_zkzopeserver_and_the_verbs_beside_it(site, embedded_tree):
    (site / 'run.py').write_text(
        'import sys; from zc.zkzopeserver.__main__ import main\n'
        'if __name__ == "__main__": sys.exit(main())\n')
    with reloading(site, sys.executable, str(site / 'run.py')) as process:
        node(embedded_tree, process)
        path = os.pathsep.join([str(site), *filter(None, sys.path)])
        status = processes.Process(
            [sys.executable, '-c', processes.START, str(site / 'web.ini'),
             'status'], site, PYTHONPATH=path)
        assert status.ended() == 0, status.output
        stop = processes.Process(
            [sys.executable, '-c', processes.START, str(site / 'web.ini'),
             'stop'], site, PYTHONPATH=path)
        assert stop.ended() == 0, stop.output
        assert process.ended() == 0
    assert embedded_tree.get_children(PATH) == []


def test_without_hupper(site):
    process = processes.Process(
        [sys.executable, '-c', 'import sys; from importlib import util;'
         ' find = util.find_spec; util.find_spec = lambda name, *rest: ('
         ' None if name == "hupper" else find(name, *rest));'
         + processes.START.partition('import sys;')[2],
         str(site / 'web.ini'), 'fg', '--reload'], site,
        PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    assert process.ended() == 2
    assert process.output == (
        'web: --reload needs the hupper distribution; add'
        ' zc.zkzopeserver[reload] to the eggs\n')
