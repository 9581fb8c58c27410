"""The verb `check`: what it finds, on both ZooKeepers."""
import logging
import os
import socket
import sys

import pytest
from zkzopeserver_support.processes import write_ini
from zkzopeserver_support.running import PATH

from zc.zkzopeserver import start
from zc.zkzopeserver.cli import pidfile

ALL = ['application', 'options', 'files', 'address', 'loggers', 'ZooKeeper']


@pytest.fixture
def check(zookeeper, client, tmp_path, capsys):
    """A function: run `check`; (exit status, checks that are ok, problems).

    A check is given by its name, a problem by its line on stderr.
    """
    client().ensure_path(PATH)

    def run(text='', **options):
        options = {'zookeeper': zookeeper.connection_string, **options}
        ini = write_ini(tmp_path, **options)
        ini.write_text(ini.read_text() + text)
        status = start.main(str(ini), 'web', ['check'])
        said = capsys.readouterr()
        lines = [line.removeprefix('web: ') for line in
                 said.out.splitlines()]
        # Each line on stdout is about a check.
        assert all(line.endswith((': ok', ': wrong')) for line in lines)
        return (status, [line[:-4] for line in lines
                         if line.endswith(': ok')],
                said.err.splitlines())

    quiet = logging.getLogger('kazoo').level
    yield run
    logging.getLogger('kazoo').setLevel(quiet)


def without(name):
    return [each for each in ALL if each != name]


def test_all_is_well_and_nothing_was_done(check, client, tmp_path):
    tree = client()
    before = tree.exists(PATH)
    assert check(access_log=str(tmp_path / 'access.log')) == (0, ALL, [])
    assert tree.exists(PATH) == before
    assert os.listdir(tmp_path) == ['web.ini']


def test_an_application_that_cannot_be_imported(check):
    status, fine, (line,) = check(app='call:zc.zkzopeserver.nosuch:make')
    assert (status, fine) == (1, without('application'))
    assert line.endswith("/web.ini: the application cannot be loaded:"
                         " ModuleNotFoundError: No module named"
                         " 'zc.zkzopeserver.nosuch'")


def test_the_place_of_a_syntax_error(check, tmp_path, monkeypatch):
    (tmp_path / 'broken_app.py').write_text('x = 1\ny = (\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    status, _, (line,) = check(app='call:broken_app:make')
    assert status == 1
    assert line == ('web: the application cannot be loaded: SyntaxError:'
                    f" '(' was never closed ({tmp_path}/broken_app.py,"
                    ' line 2)')


def test_the_monitor_server(check, tmp_path):
    where = tmp_path / 'monitor.sock'
    with_monitor = [*ALL[:4], 'monitor', *ALL[4:]]
    assert check(monitor_server=str(where)) == (0, with_monitor, [])
    assert not where.exists()
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(where))
        # Stale: nobody listens.
        assert check(monitor_server=str(where))[0] == 0
        taken.listen()
        assert problem(check, str(where)) == (
            f'{where}: another process listens there')
    where.unlink()
    where.write_text('precious')
    assert problem(check, str(where)) == (
        f'{where}: it is there, and is no socket')
    assert problem(check, '/nosuch/monitor.sock') == (
        '/nosuch: there is no such directory')
    long = str(tmp_path / ('x' * 107))
    assert problem(check, long) == (
        f'{long}: too long for a socket, of which the path has at most 107'
        ' bytes')
    with socket.create_server(('127.0.0.1', 0)) as server:
        where = f'127.0.0.1:{server.getsockname()[1]}'
        assert problem(check, where) == (
            f'cannot listen on {where}: Address already in use')


LOGGERS = """
[loggers]
keys = root
[handlers]
keys = file
[formatters]
keys =
[logger_root]
level = INFO
handlers = file
[handler_file]
class = FileHandler
args = ('%(here)s/event.log',)
"""


def test_the_loggers_of_the_ini(check, tmp_path, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, 'handlers', root.handlers[:])
    level = root.level
    try:
        assert check(LOGGERS) == (0, ALL, [])
        assert (tmp_path / 'event.log').exists()
        status, fine, (line,) = check(LOGGERS.replace('%(here)s', '/nosuch'))
        assert (status, fine) == (2, without('loggers'))
        assert line.startswith('web: [loggers] of web.ini: FileNotFoundError')
    finally:
        root.setLevel(level)
        for handler in list(root.handlers):
            if isinstance(handler, logging.FileHandler):
                root.removeHandler(handler)
                handler.close()


def test_the_address_of_the_metrics(check):
    assert check(metrics='127.0.0.1:0') == (
        0, [*ALL[:4], 'metrics', *ALL[4:]], [])
    with socket.create_server(('127.0.0.1', 0)) as taken:
        where = f'127.0.0.1:{taken.getsockname()[1]}'
        assert check(metrics=where) == (2, ALL, [
            f"web: option 'metrics': cannot listen on {where}: Address"
            ' already in use'])


def problem(check, where):
    """Return what `check` finds wrong in a monitor_server."""
    status, fine, (line,) = check(monitor_server=where)
    assert (status, fine) == (2, ALL)
    return line.removeprefix("web: option 'monitor_server': ")


def test_wrong_options_are_all_told_and_end_it(check):
    status, fine, lines = check(port='x', threads='0')
    assert (status, fine) == (2, ['application'])
    assert [line.partition(': ')[0] for line in lines] == ['web', 'web']
    assert "option 'port'" in lines[0] and "option 'threads'" in lines[1]


def test_files(check, tmp_path):
    status, fine, lines = check(
        zookeeper_auth_file=str(tmp_path / 'nosuch'),
        access_log='/nosuch/access.log')
    # Without credentials ZooKeeper is not asked.
    assert (status, fine) == (2, ['application', 'options', 'address',
                                  'loggers'])
    assert "option 'zookeeper_auth_file': cannot read" in lines[0]
    assert "option 'access_log': cannot write /nosuch/access.log" in lines[1]


def test_an_address_in_use(check):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        status, fine, (line,) = check(port=port)
    assert (status, fine) == (2, without('address'))
    assert f'cannot listen on 127.0.0.1:{port}: ' in line


def test_a_host_that_is_not_ours(check):
    status, fine, (line,) = check(host='203.0.113.1')
    assert (status, fine) == (2, without('address'))
    assert 'cannot listen on 203.0.113.1:0' in line


def test_loggers(check):
    status, fine, (line,) = check(loggers='<logger>\n  levl INFO\n</logger>')
    assert (status, fine) == (2, without('loggers'))
    assert "option 'loggers'" in line and 'levl' in line


def test_no_zookeeper(check):
    with socket.create_server(('127.0.0.1', 0)) as free:
        nowhere = f'127.0.0.1:{free.getsockname()[1]}'
    status, fine, (line,) = check(zookeeper=nowhere)
    assert (status, fine) == (3, without('ZooKeeper'))
    assert nowhere in line


def test_no_path_and_no_application(check):
    status, fine, lines = check(path='/nosuch', app='egg:nosuch')
    assert (status, len(lines)) == (3, 2)
    assert 'nosuch' in lines[0] and 'there is no /nosuch' in lines[1]


def test_an_ini_that_is_not_there(tmp_path, capsys):
    assert start.main(str(tmp_path / 'nosuch.ini'), 'web', ['check']) == 2
    assert 'nosuch.ini' in capsys.readouterr().err


def test_a_server_that_is_not_ours(tmp_path, capsys):
    """Its options are its own."""
    pytest.importorskip('waitress')
    ini = tmp_path / 'web.ini'
    ini.write_text('[app:main]\nuse = call:zc.zkzopeserver.hello:make_hello\n'
                   '[server:main]\nuse = egg:waitress#main\n')
    assert start.main(str(ini), 'web', ['check']) == 0
    assert capsys.readouterr() == ('web: application: ok\n', '')


def test_a_monitor_server_without_zc_monitor(check, monkeypatch):
    monkeypatch.setitem(sys.modules, 'zc.monitor', None)
    status, fine, (line,) = check(monitor_server='127.0.0.1:0')
    assert (status, fine) == (2, without('files'))
    assert 'needs the zc.monitor distribution' in line


def test_an_address_that_the_server_itself_has(check, tmp_path):
    with (socket.create_server(('127.0.0.1', 0)) as taken,
          pidfile.held(str(tmp_path / 'web.pid'), 'web.ini')):
        assert check(port=str(taken.getsockname()[1])) == (0, ALL, [])
