"""Verbs of bin/NAME in unusual places, and with applications that fail."""
import os
import subprocess
import sys

import pytest
from zkzopeserver_support.processes import START
from zkzopeserver_support.running import PATH


@pytest.mark.skipif(sys.platform != 'linux', reason='as Linux has it')
def test_an_address_that_no_interface_has(local, embedded):
    web = local(host='127.0.7.1')
    assert ', at 127.0.7.1:' in web('start')
    assert 'registered and answering' in web('status')
    web('stop')


@pytest.mark.parametrize('verb', ['restart', 'reload'])
def test_a_broken_application_does_not_stop_the_server(
        local, embedded, tmp_path, verb):
    web = local()
    web('start')
    pid = web.pid
    (tmp_path / 'broken_app.py').write_text('import nosuch_module\n')
    web.ini.write_text(web.ini.read_text().replace(
        'call:zc.zkzopeserver.hello:make_hello', 'call:broken_app:make'))
    web.extend_path(tmp_path)
    said = web(verb, status=1)
    assert ('web: the application cannot be imported: ModuleNotFoundError:'
            " No module named 'nosuch_module' (") in said
    assert f'{tmp_path}/broken_app.py, line 1)' in said
    assert web.pid == pid and len(embedded.zk.get_children(PATH)) == 1
    web('stop')


def test_an_application_that_wants_its_host(local, embedded):
    web = local(ready='/', probe_host='www.example.com', probe_scheme='https',
                app='call:zkzopeserver_support.running:make_particular\n'
                    'host = www.example.com')
    web('start')
    assert 'registered, answers 200' in web('status')
    web('stop')


@pytest.mark.parametrize('verb', ['show', 'status', 'tree'])
def test_the_reader_of_the_output_is_gone(local, verb):
    web = local()
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, 'wb') as output:
        done = subprocess.run(
            [sys.executable, '-c', START, str(web.ini), verb], stdout=output,
            stderr=subprocess.PIPE, text=True, timeout=60, env={
                **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert (done.returncode, done.stderr) == (141, '')


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
@pytest.mark.parametrize('verb', ['show', 'status', 'tree', 'check'])
def test_an_output_on_a_full_disk(local, verb):
    web = local()
    with open('/dev/full', 'wb') as output:
        done = subprocess.run(
            [sys.executable, '-c', START, str(web.ini), verb], stdout=output,
            stderr=subprocess.PIPE, text=True, timeout=60, env={
                **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert (done.returncode, done.stderr) == (
        1, 'web: standard output: No space left on device\n')


def test_start_without_an_output(local, embedded, tmp_path):
    """As cron jobs and daemons may have it."""
    web = local()
    done = subprocess.run(
        ['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', sys.executable, '-c',
         START, str(web.ini), 'start'], timeout=60, env={
            **os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert done.returncode == 0, web.log()
    assert len(embedded.zk.get_children(PATH)) == 1
    web('stop')


LOGGING = """
[loggers]
keys = root, quiet
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = file
[logger_quiet]
level = ERROR
handlers =
qualname = zc.zkzopeserver.service
[handler_file]
class = FileHandler
args = ('%(here)s/event.log',)
formatter = plain
[formatter_plain]
format = %(levelname)s from %(name)s: %(message)s
"""


@pytest.mark.parametrize('workers', ['1', '2'])
def test_the_loggers_of_the_ini(local, embedded, tmp_path, workers):
    """As pserve, runwsgi and gunicorn heed them."""
    web = local(workers=workers)
    web.ini.write_text(web.ini.read_text() + LOGGING)
    web('start')
    text = (tmp_path / 'event.log').read_text()
    assert 'INFO from zc.zk.registration: Registered ' in text
    assert 'zc.zkzopeserver.service' not in text
    assert 'Registered' not in web.log()
    # A rotation opens its file anew.
    (tmp_path / 'event.log').rename(tmp_path / 'old.log')
    web('logreopen')
    web('stop')
    assert 'log files opened anew' in (tmp_path / 'event.log').read_text()


def test_the_option_loggers_comes_first(local, embedded, tmp_path):
    web = local(loggers='INFO')
    web.ini.write_text(web.ini.read_text() + LOGGING)
    web('start')
    assert not (tmp_path / 'event.log').exists()
    assert 'INFO zc.zkzopeserver.service serving on ' in web.log()
    # kazoo's steps are as quiet as without the option.
    assert 'INFO kazoo' not in web.log()
    web('stop')
