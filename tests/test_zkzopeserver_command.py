"""``zkzopeserver INI`` and ``python -m zc.zkzopeserver``, up to the verb."""
import pytest

from zc.zkzopeserver import __main__ as command
from zc.zkzopeserver import start
from zc.zkzopeserver.cli import environment
from zc.zkzopeserver.cli.verbs import VERBS
from zc.zkzopeserver.errors import ConfigurationError

INI = '''\
[DEFAULT]
colour = red

[app:main]
use = egg:nosuch

[server:main]
use = egg:zc.zkzopeserver
zookeeper = 127.0.0.1:%(zk_port)s
path = /p

[server:admin]
use = egg:zc.zkzopeserver
zookeeper = 127.0.0.1:2181
path = /admin
threads = 2
'''


@pytest.fixture
def ini(tmp_path):
    """The path of an ini with two servers and a variable."""
    path = tmp_path / 'web.ini'
    path.write_text(INI)
    return str(path)


@pytest.mark.parametrize('words, rest, variables', [
    ([], [], {}),
    (['status', '--json'], ['status', '--json'], {}),
    (['a=1', 'fg', 'b.c=2=3'], ['fg'], {'a': '1', 'b.c': '2=3'}),
    (['-o', 'threads=2', 'fg', 'a=', '--option', 'path=/q'],
     ['-o', 'threads=2', 'fg', '--option', 'path=/q'], {'a': ''}),
    (['--option=threads=2', 'a=1'], ['--option=threads=2'], {'a': '1'}),
    (['a=1', 'monitor', 'loglevel', 'b=2'], ['monitor', 'loglevel', 'b=2'],
     {'a': '1'}),
    (['-o', 'monitor', 'a=1'], ['-o', 'monitor'], {'a': '1'}),
    (['a=1', 'zdaemon', '-C', 'x', 'python', 'web.ini', 'b=2', 'fg'],
     ['zdaemon', '-C', 'x', 'python', 'web.ini', 'b=2', 'fg'], {'a': '1'}),
    (['stop', '1=2'], ['stop', '1=2'], {}),
])
def test_variables_stand_behind_the_ini(words, rest, variables):
    assert command.take_variables(words) == (rest, variables)


def test_the_server_stands_behind_the_ini(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'c#.ini').touch()
    assert command.split('web.ini') == (f'{tmp_path}/web.ini', 'main')
    assert command.split('web.ini#admin') == (f'{tmp_path}/web.ini', 'admin')
    assert command.split('c#.ini') == (f'{tmp_path}/c#.ini', 'main')
    assert command.split('c#.ini#admin') == (f'{tmp_path}/c#.ini', 'admin')
    assert command.split('#x') == (f'{tmp_path}/#x', 'main')


def test_names_of_servers():
    assert command.default_name('/x/web.ini', 'main') == 'web'
    assert command.default_name('/x/web.ini', 'admin/2') == 'web-admin-2'


@pytest.mark.parametrize('argv, words', [
    ([], 'the following arguments are required: INI[#SERVER]'),
    (['--name', '../x', 'web.ini'], "'../x' is not the name of a file"),
    ([], 'the following arguments are required: INI[#SERVER]\n'),
    (['--run', '/x', 'web.ini'], 'unrecognized arguments'),
    (['web.ini', 'statsu'], "unknown verb 'statsu'"),
])
def test_a_wrong_command_line(argv, words, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(argv)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_help_lists_verbs_and_variables(capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(['--help'])
    assert not caught.value.code
    said = capsys.readouterr().out
    assert '\n  status ' in said
    assert 'ZKZOPESERVER_NAME=VALUE' in said
    assert max(map(len, said.split('\n'))) < 80


@pytest.mark.parametrize('words', [
    [], *([verb] for verb in VERBS if verb != 'zdaemon')])
def test_help_fits_a_terminal(ini, monkeypatch, capsys, words):
    monkeypatch.setenv('COLUMNS', '80')
    with pytest.raises(SystemExit) as caught:
        start.main(ini, 'web', [*words, '--help'])
    assert not caught.value.code
    assert max(map(len, capsys.readouterr().out.split('\n'))) < 80


@pytest.mark.parametrize('name', ['a b', '-a', "a'b", 'a=b'])
def test_a_command_that_runs_this_one_again_has_its_name(ini, name):
    words = command.again(['x'], ini, 'main', name, None, {})
    arguments = command.parser().parse_args(words[-2:])
    assert arguments.name == name


@pytest.mark.parametrize('argv, words', [
    (['nosuch.ini', 'show'], 'nosuch: '),
    (['nosuch.ini', 'show'], '/nosuch.ini: No such file or directory'),
    (['web.ini', 'show'], '/web.ini: Error in file '),
    (['web.ini#nosuch', 'show'], "web-nosuch: "),
])
def test_an_ini_that_cannot_be_read(ini, monkeypatch, tmp_path, capsys, argv,
                                    words):
    monkeypatch.chdir(tmp_path)
    assert command.main(argv) == 2
    assert words in capsys.readouterr().err


def test_where_each_option_comes_from(ini, monkeypatch, capsys):
    monkeypatch.setenv('ZKZOPESERVER_THREADS', '8')
    monkeypatch.setenv('ZKZOPESERVER_HOST', '127.0.0.2')
    assert command.main([ini, 'show', 'zk_port=2182', '-o',
                         'host=127.0.0.3']) == 0
    said = capsys.readouterr().out.replace('  ', ' ')
    lines = {line.split()[0]: line.split(None, 1)[1]
             for line in said.splitlines() if line.startswith(' ')}
    assert lines['zookeeper'] == '127.0.0.1:2182 (ini)'
    assert lines['threads'] == '8 (environment)'
    assert lines['host'] == '127.0.0.3 (command line)'
    assert lines['workers'] == '1 (default)'


def test_another_server_of_the_ini(ini, capsys):
    assert command.main([f'{ini}#admin', 'show', '--json', 'zk_port=1']) == 0
    said = capsys.readouterr().out
    assert '"name": "web-admin"' in said
    assert '/web-admin.pid"' in said
    assert '"value": "/admin"' in said


def test_the_files_of_the_process(ini, tmp_path, capsys):
    assert command.main(['--run-directory', str(tmp_path / 'run'), '--name',
                         'x', ini, 'show', 'zk_port=1']) == 0
    said = capsys.readouterr().out
    for suffix in 'pid', 'sock', 'log':
        assert f'{tmp_path}/run/x.{suffix}\n' in said


@pytest.mark.parametrize('name, value, words', [
    ('THREAD', '8', "environment variable ZKZOPESERVER_THREAD: unknown option"
                    " 'thread' (did you mean 'threads'?)"),
    ('THREADS', 'x', "environment variable ZKZOPESERVER_THREADS: option"
                     " 'threads': "),
])
def test_a_wrong_variable_is_an_error(ini, monkeypatch, capsys, name, value,
                                      words):
    monkeypatch.setenv('ZKZOPESERVER_' + name, value)
    assert command.main([ini, 'check', 'zk_port=1']) == 2
    assert f'web: {words}' in capsys.readouterr().err


def test_all_wrong_variables_are_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        environment.read({'ZKZOPESERVER_A': '', 'ZKZOPESERVER_PORT': '-1',
                          'PORT': 'x', 'ZKZOPESERVER_PATH': '/p'})
    assert [line.split(':')[0] for line in str(caught.value).splitlines()
            ] == ['environment variable ZKZOPESERVER_A',
                  'environment variable ZKZOPESERVER_PORT']


def test_start_scripts_heed_the_environment_too(ini, monkeypatch, capsys):
    monkeypatch.setenv('ZKZOPESERVER_THREADS', '8')
    path = ini.replace('web.ini', 'plain.ini')
    with open(path, 'w') as file:
        file.write(INI.replace('%(zk_port)s', '2181'))
    assert start.main(path, 'web', ['show', '--json']) == 0
    assert '"from": "environment"' in capsys.readouterr().out
