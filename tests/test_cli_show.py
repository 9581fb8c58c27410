"""The verb `show`: options, their origins, secrets."""
import json

import pytest

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver import start

INI = '''\
[DEFAULT]
colour = red

[app:main]
use = call:zc.zkzopeserver.hello:make_hello
db = postgres://me:hunter2@db/x
session.secret = hunter2
text = one
    two

[server:main]
use = egg:zc.zkzopeserver
zookeeper = 127.0.0.1:2181
path = /p
threads = 4
zookeeper_auth_file = /etc/auth
'''


@pytest.fixture
def show(tmp_path, capsys):
    """A function: run `show`; (exit status, stdout, stderr)."""
    def run(*arguments, text=INI, run=None):
        ini = tmp_path / 'web.ini'
        ini.write_text(text)
        status = start.main(str(ini), 'web', ['show', *arguments], run)
        return status, *capsys.readouterr()
    return run


def test_each_option_and_where_it_comes_from(show):
    status, out, err = show('--json', '-o', 'port=8080')
    assert (status, err) == (0, '')
    found = json.loads(out)['options']
    assert list(found)[:4] == ['zookeeper', 'path', 'host', 'port']
    assert set(found) == set(option_table.BY_NAME)
    assert found['threads'] == {'value': '4', 'from': 'ini'}
    assert found['port'] == {'value': '8080', 'from': 'command line'}
    assert found['backlog'] == {'value': '1024', 'from': 'default'}
    assert found['zookeeper_auth_file']['value'] == '/etc/auth'


def test_text(show):
    _, out, _ = show('-o', 'port=8080')
    lines = [' '.join(line.split()) for line in out.splitlines()]
    assert 'threads 4 (ini)' in lines
    assert 'port 8080 (command line)' in lines
    assert 'backlog 1024 (default)' in lines
    assert 'colour = red' in lines
    assert ['text = one', 'two'] == lines[lines.index('text = one'):][:2]


def test_secrets_are_masked(show):
    for arguments in (), ('--json',):
        _, out, _ = show(*arguments)
        assert 'hunter2' not in out
        assert 'postgres://me:********@db/x' in out


def test_secrets_of_another_server_are_masked(show):
    status, out, _ = show(text='[server:main]\nuse = egg:waitress#main\n'
                               'port = 8080\nadmin_password = hunter2\n')
    assert status == 0
    assert 'hunter2' not in out and '8080  (ini)' in out


def test_the_files_of_the_process(show, tmp_path):
    _, out, _ = show('--json')
    assert json.loads(out)['files'] == {
        'ini': str(tmp_path / 'web.ini'),
        'pid file': str(tmp_path / 'web.pid'),
        'socket': str(tmp_path / 'web.sock'),
        'transcript': str(tmp_path / 'web.log'),
        'user': 'the user that starts it',
        'start-timeout': 'from ready_timeout'}
    _, out, _ = show('--json', run={'pid': '/run/x.pid',
                                    'start_timeout': 2.5})
    found = json.loads(out)['files']
    assert found['pid file'] == '/run/x.pid'
    assert found['start-timeout'] == '2.5 s'


def test_what_is_wrong_is_told_and_shown(show):
    status, out, err = show('-o', 'port=x', '-o', 'prot=1')
    assert status == 2
    assert 'x  (command line)' in out and 'prot' in out
    assert "option 'port': 'x' is not" in err
    assert "unknown option 'prot' (did you mean 'port'?)" in err


def test_an_ini_that_cannot_be_parsed(show):
    status, _, err = show(text='no section')
    assert status == 2
    assert 'web.ini' in err and len(err.splitlines()) == 1
