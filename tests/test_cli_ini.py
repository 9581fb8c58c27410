"""The ini of a server: its options, and how its server is called."""
import subprocess
import sys
from types import SimpleNamespace

import pytest

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver import runner
from zc.zkzopeserver import start
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import StartError

INI = '''\
[DEFAULT]
colour = red

[app:main]
use = call:test_cli_ini_app:make
Size = 1

[server:main]
use = egg:zc.zkzopeserver
zookeeper = 127.0.0.1:2181
path = /p
'''

# A module of an application, and of another server.
APP = '''\
loaded = []
served = []

def make(global_conf, **local_conf):
    loaded.append(local_conf)
    return 'the application'

def serve(application, global_conf, **local_conf):
    served.append((application, global_conf['colour'], local_conf))

def make_server(global_conf, **local_conf):
    return lambda application: serve(application, global_conf, **local_conf)
'''


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function: write an ini with this text; return its path."""
    (tmp_path / 'test_cli_ini_app.py').write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'test_cli_ini_app', raising=False)

    def write(text=INI):
        path = tmp_path / 'web.ini'
        path.write_text(text)
        return str(path)
    return write


def test_a_plain_section_is_served_as_pastedeploy_would(write, monkeypatch):
    called = []
    monkeypatch.setattr('zc.zkzopeserver.runner.run', lambda *args, **options:
                        called.append((args, options)))
    ini = Ini(Instance(write(), variables={'size': 'large'}))
    ini.serve()
    ((_, global_conf), options), = called
    context = ini._context
    assert context.object is runner.run
    assert context.global_conf == global_conf
    assert global_conf.keys() == {'colour', 'size', 'here', '__file__'}
    assert context.local_conf == options


@pytest.mark.parametrize('role', ['workers.supervisor', 'workers.service'])
def test_a_server_does_without_what_it_does_not_need(role):
    """importlib.metadata (email, zipfile) takes time, OpenSSL memory, too."""
    code = ('import sys, zc.zkzopeserver.cli.verbs.fg;'
            f' import zc.zkzopeserver.{role};'
            ' sys.exit(any(name in sys.modules for name in'
            ' ("email", "zipfile", "argparse", "_hashlib", "ssl")))')
    subprocess.run([sys.executable, '-c', code], check=True,
                   env={'PYTHONPATH': ':'.join(sys.path)})


def test_pastedeploy_may_use_at_once_what_is_imported_late():
    code = ('import sys; from zc.zkzopeserver.cli import lateimport;'
            ' late = lateimport.LateMetadata(lateimport.NAME);'
            ' sys.modules[lateimport.NAME] = late;'
            ' from importlib.metadata import version;'
            ' assert version("PasteDeploy");'
            ' assert sys.modules[lateimport.NAME] is not late')
    subprocess.run([sys.executable, '-c', code], check=True,
                   env={'PYTHONPATH': ':'.join(sys.path)})


def test_the_options_of_a_plain_section(write):
    ini = Ini(Instance(write()))
    assert ini.is_ours
    assert ini.options == {'zookeeper': '127.0.0.1:2181', 'path': '/p'}
    assert ini.where == 'server section of web.ini'


def test_a_section_that_refers_to_another(write):
    """Only PasteDeploy can tell its options."""
    ini = Ini(Instance(write(INI.replace('server:main', 'server:base') + '''
[server:main]
use = base
path = /q
''')))
    assert ini.is_ours
    assert ini.options == {'zookeeper': '127.0.0.1:2181', 'path': '/q'}


def test_options_of_the_command_line_come_first(write):
    ini = Ini(Instance(write(), overrides={'path': '/q', 'port': '1'}))
    assert ini.options == {'zookeeper': '127.0.0.1:2181', 'path': '/q',
                           'port': '1'}


def test_the_names_in_other_sections_keep_their_case(write):
    sections = Ini(Instance(write())).sections()
    assert sections['DEFAULT'] == {'colour': 'red'}
    assert sections['app:main']['Size'] == '1'


def test_an_ini_without_a_server(write):
    with pytest.raises(ConfigurationError, match=r'web\.ini: '):
        Ini(Instance(write('[app:main]\nuse = egg:x\n')))


def test_another_server_gets_the_application_and_the_options_once(write):
    ini = Ini(Instance(
        write(INI.replace('egg:zc.zkzopeserver',
                          'call:test_cli_ini_app:make_server')),
        overrides={'path': '/q'}))
    assert not ini.is_ours
    ended = []
    ini.serve(SimpleNamespace(succeed=ended.append))
    # Those of a server of ours that has died.
    assert ended == [0]
    import test_cli_ini_app
    assert test_cli_ini_app.served == [('the application', 'red', {
        'zookeeper': '127.0.0.1:2181', 'path': '/q'})]


@pytest.fixture
def parsed(monkeypatch):
    """A list: the strings of each call that parsed options."""
    calls = []
    parse = option_table.parse

    def recording(raw, where=''):
        calls.append(raw)
        return parse(raw, where)

    monkeypatch.setattr(option_table, 'parse', recording)
    return calls


@pytest.mark.parametrize('wrong, sentence', [
    ('port=x', "option 'port': 'x' is not"),
    ('application=x', "unknown option 'application'"),
    ('global_conf=x', "unknown option 'global_conf'")])
def test_options_are_parsed_once_and_before_the_application_is_loaded(
        write, parsed, capsys, wrong, sentence):
    assert start.main(write(), 'web', ['-o', wrong]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('web: server section of web.ini: ' + sentence)
    name, _, value = wrong.partition('=')
    assert parsed == [{'zookeeper': '127.0.0.1:2181', 'path': '/p',
                       name: value}]
    assert 'test_cli_ini_app' not in sys.modules


def test_what_loading_the_application_raises_is_left_as_it_is(write):
    """PasteDeploy would rewrite a TypeError about arguments."""
    path = write(INI.replace('path = /p', 'path = /p\nloggers = WARNING'))
    with open(path.replace('web.ini', 'test_cli_ini_app.py'), 'a') as file:
        file.write('\n(lambda: None)(1)\n')
    with pytest.raises(TypeError) as caught:
        start.main(path, 'web', [])
    assert str(caught.value).endswith(
        'takes 0 positional arguments but 1 was given')


@pytest.mark.parametrize('app, problem', [
    ('egg:nosuch', 'nosuch'),
    ('egg:zc.zkzopeserver#nosuch', "Entry point 'nosuch' not found"),
    ('call:nosuch:make', "No module named 'nosuch'"),
    ('call:zc.zkzopeserver.hello:nosuch', "has no attribute 'nosuch'"),
    ('nosuch', "No section 'nosuch'"),
    ('call:zc.zkzopeserver.hello:make_hello\nnosuch = 1', "'nosuch'"),
])
def test_a_wrong_reference_to_the_application_is_one_line(tmp_path, app,
                                                          problem):
    path = tmp_path / 'web.ini'
    path.write_text(f'[app:main]\nuse = {app}\n[server:main]\n'
                    'use = egg:zc.zkzopeserver\n')
    with pytest.raises(StartError) as caught:
        Ini(Instance(str(path))).application()
    said = str(caught.value)
    assert said.startswith(f'{path}: the application cannot be loaded: ')
    assert problem in said
    assert '\n' not in said


@pytest.mark.parametrize('code', [
    'import nosuch', 'from importlib.metadata import version\nversion("no!")',
    '1 / 0', 'x = ('])
def test_an_exception_of_the_applications_code_is_raised(
        tmp_path, monkeypatch, code):
    (tmp_path / 'faulty_app.py').write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / 'web.ini'
    path.write_text(INI.replace('test_cli_ini_app', 'faulty_app'))
    with pytest.raises(Exception) as caught:
        Ini(Instance(str(path))).application()
    assert not isinstance(caught.value, StartError)


@pytest.mark.parametrize('name', ['a b', 'a#b', 'a\\b', '\xfc;$', "a'b"])
def test_an_ini_below_any_path(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    path = folder / f'{name}.ini'
    path.write_text('[app:main]\nuse = call:zc.zkzopeserver.hello:make_hello'
                    '\n[server:main]\nuse = base\n[server:base]\n'
                    'use = egg:zc.zkzopeserver\npath = /p\n')
    ini = Ini(Instance(str(path)))
    assert ini.options == {'path': '/p'}
    assert callable(ini.application())


@pytest.mark.parametrize('name', ['100%', '%20', '%(here)s'])
def test_pastedeploy_reads_no_ini_below_a_path_with_a_percent_sign(
        tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    path = folder / 'web.ini'
    path.write_text('[server:main]\nuse = egg:zc.zkzopeserver\n')
    with pytest.raises(ConfigurationError, match=r'no ini with a % in its pa'):
        Ini(Instance(str(path)))


INNER = """
[app:plain]
use = call:zc.zkzopeserver.hello:make_hello
[composite:choice]
paste.composite_factory = zkzopeserver_support.running:make_choice
/ = plain
/pages = pages
loop = choice
[pipeline:pages]
pipeline = inner
[composite:inner]
use = choice
more = plain {broken}
[app:broken]
paste.app_factory = no_such_module_at_all:make
[pipeline:main]
pipeline = choice
[server:main]
use = egg:zc.zkzopeserver
zookeeper = 127.0.0.1:2181
path = /p
"""


@pytest.mark.parametrize('broken', ['', 'broken'])
def test_what_a_composite_names_is_imported(tmp_path, broken):
    """Not so a section that nothing names."""
    path = tmp_path / 'web.ini'
    path.write_text(INNER.format(broken=broken))
    ini = Ini(Instance(str(path)))
    if not broken:
        ini.import_application()
        return
    with pytest.raises(StartError, match="No module named 'no_such_module_at"):
        ini.import_application()
