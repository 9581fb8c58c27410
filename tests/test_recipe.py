"""Parts of real buildouts: installed, updated, changed, uninstalled."""
from __future__ import annotations

import os
import stat

import pytest
from paste.deploy import loadwsgi

from zc.zkzopeserver.recipe import removal

SECTION = """
[web]
recipe = zc.zkzopeserver
eggs = sandboxapp
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
path = /fooservice/providers
"""


def options(path, section='server:main'):
    """Return what PasteDeploy reads from the section of the ini."""
    loader = loadwsgi.ConfigLoader(str(path))
    return {name: loader.parser.get(section, name)
            for name in loader.parser.options(section)
            if name not in loader.parser.defaults()}


def identity(path):
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns


def test_a_section_becomes_an_ini_and_a_script(sandbox):
    sandbox.built(SECTION + 'threads = 4\n')
    ini = sandbox.path('parts', 'web', 'web.ini')
    assert options(ini) == {
        'use': 'egg:zc.zkzopeserver', 'zookeeper': '127.0.0.1:2181',
        'path': '/fooservice/providers', 'threads': '4'}
    assert options(ini, 'app:main') == {'use': 'egg:sandboxapp'}
    assert stat.S_IMODE(os.stat(ini).st_mode) == 0o640
    script = sandbox.path('bin', 'web')
    assert os.access(script, os.X_OK)
    assert (f"zc.zkzopeserver.start.main('{ini}', 'web')"
            in script.read_text())
    compile(script.read_text(), str(script), 'exec')


def test_values_come_back_exactly(sandbox):
    sandbox.built(SECTION + """
app-options =
    title = 100% # ; really
    text = first
          second

          # third
          [fourth]
    empty =
    format = %(message)s $$(message)s
properties =
    # not a property
    a = '%'
    b = 2
loggers =
    <logger>
      level INFO
      <logfile>
        path STDOUT
        format %(asctime)s $$(message)s
      </logfile>
    </logger>
""")
    ini = sandbox.path('parts', 'web', 'web.ini')
    assert options(ini, 'app:main') == {
        'use': 'egg:sandboxapp', 'title': '100% # ; really',
        'text': 'first\nsecond\n\n# third\n[fourth]', 'empty': '',
        'format': '%(message)s $$(message)s'}
    found = options(ini)
    assert found['properties'] == "# not a property\na = '%'\nb = 2"
    assert found['loggers'].splitlines()[4] == (
        '    format %(asctime)s $$(message)s')


def test_a_second_run_touches_nothing(sandbox):
    sandbox.built(SECTION)
    paths = [sandbox.path('parts', 'web', 'web.ini'),
             sandbox.path('bin', 'web')]
    before = [identity(path) for path in paths]
    assert 'Updating web' in sandbox.built()
    assert [identity(path) for path in paths] == before


def test_a_change_replaces_only_what_is_different(sandbox):
    sandbox.built(SECTION)
    ini = sandbox.path('parts', 'web', 'web.ini')
    script = sandbox.path('bin', 'web')
    before = identity(ini), identity(script)
    sandbox.built(SECTION + 'port = 8080\n')
    assert options(ini)['port'] == '8080'
    assert identity(ini) != before[0]
    assert identity(script) == before[1]


def test_damage_is_repaired(sandbox):
    sandbox.built(SECTION)
    ini = sandbox.path('parts', 'web', 'web.ini')
    text = ini.read_text()
    ini.write_text('damaged')
    sandbox.built()
    assert ini.read_text() == text
    ini.unlink()
    sandbox.built()
    assert ini.read_text() == text


def test_uninstalling_removes_the_files_of_the_part_only(sandbox):
    sandbox.built(SECTION + SECTION.replace('[web]', '[other]'),
                  parts='web other')
    mine = sandbox.path('parts', 'other', 'notes.txt')
    mine.write_text('mine')
    sandbox.built(parts='', text='')
    assert os.listdir(sandbox.path('parts')) == ['other']
    assert os.listdir(sandbox.path('parts', 'other')) == ['notes.txt']
    assert os.listdir(sandbox.path('bin')) == []


def test_verbatim_application_sections(sandbox):
    sandbox.built("""
[web]
recipe = zc.zkzopeserver
eggs = sandboxapp
ini =
    [pipeline:main]
    pipeline = one app

    # a comment
    [filter:one]
    use = egg:sandboxapp#one
    level = 9

    [app:app]
    use = egg:sandboxapp
    root = %(here)s
zookeeper = 127.0.0.1:2181
path = /x
""")
    ini = sandbox.path('parts', 'web', 'web.ini')
    assert '# a comment' in ini.read_text()
    assert options(ini, 'filter:one')['level'] == '9'
    assert options(ini, 'app:app')['root'] == str(ini.parent)
    assert options(ini)['path'] == '/x'


def test_all_problems_are_told_together(sandbox):
    error = sandbox.refused("""
[web]
recipe = zc.zkzopeserver
ap = egg:sandboxapp
app-options = nonsense
zookeper = 127.0.0.1:2181
path = fooservice
port = 80a
""")
    lines = error.strip().splitlines()
    assert all(line.startswith('[web]: ') for line in lines)
    for words in ("'ap' (did you mean 'app'?)",
                  "'zookeper' (did you mean 'zookeeper'?)",
                  "option 'app-options' takes `key = value` lines",
                  "option 'app' is required",
                  "option 'zookeeper' is required",
                  "option 'path': 'fooservice' is not an absolute path",
                  "option 'port': '80a' is not a whole number from 0 to"):
        assert sum(words in line for line in lines) == 1, (words, error)
    assert len(lines) == 7


@pytest.mark.parametrize('more, words', [
    ('ini = [app:main]\n', "'app' and 'ini' exclude each other"),
    ('app-options = use = egg:x\n', "takes no 'use'"),
    ('app-options = here = /x\n', "option 'here' of [app:main]"),
    ('app-options = a:b = 1\n', "the name 'a:b'"),
])
def test_conflicting_options_are_refused(sandbox, more, words):
    assert words in sandbox.refused(SECTION + more)
    assert not sandbox.path('parts', 'web').exists()


def test_a_bad_ini_leaves_the_old_one(sandbox):
    sandbox.built(SECTION)
    before = sandbox.read('parts', 'web', 'web.ini')
    error = sandbox.refused(SECTION.replace(
        'app = egg:sandboxapp', 'ini =\n    [app:main]\n    a = 100%'))
    assert "'%' must be followed by '%' or '('" in error
    assert sandbox.read('parts', 'web', 'web.ini') == before
    assert sandbox.path('bin', 'web').exists()


def test_unknown_options_are_allowed(sandbox):
    output = sandbox.built(SECTION + 'unheard-of = 1\n')
    assert "unused option(s): 'unheard-of'" in output


def test_macros(sandbox):
    sandbox.built("""
[base]
eggs = sandboxapp
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
prefix = /foo
path = ${:prefix}/providers

[web]
<= base
recipe = zc.zkzopeserver
prefix = /bar
""")
    ini = sandbox.path('parts', 'web', 'web.ini')
    assert options(ini)['path'] == '/bar/providers'


def test_no_network_is_used_when_all_eggs_are_installed(sandbox):
    sandbox.write(SECTION, buildout='newest = false\n')
    text = sandbox.read('buildout.cfg').replace('offline = true\n', '')
    sandbox.path('buildout.cfg').write_text(text)
    for arguments in ('-N',), ():
        run = sandbox.run(arguments=arguments)
        assert run.status == 0, run.output
        assert 'http' not in run.output


def test_a_section_name_that_cannot_name_files_is_refused(sandbox):
    error = sandbox.refused(SECTION.replace('[web]', '[my/web]'),
                            parts='my/web')
    assert "the name of the section, 'my/web'" in error


def test_two_parts_cannot_write_a_file(sandbox):
    error = sandbox.refused(
        SECTION + SECTION.replace('[web]', '[other]') + 'instances = web\n',
        parts='web other')
    assert f"[other]: the part 'web' writes {sandbox.root}/bin/web too" in (
        error)


def test_a_file_that_cannot_be_written_is_told_in_a_line(sandbox):
    sandbox.path('units').write_text('not a directory')
    error = sandbox.refused(SECTION + f'systemd = {sandbox.path("units")}\n')
    assert error.strip() == (
        f'[web]: {sandbox.path("units", "web.service")}: Not a directory')
    assert os.listdir(sandbox.path('bin')) == []
    assert os.listdir(sandbox.path('parts')) == []


@pytest.mark.parametrize('content, problem', [
    ('#!/bin/sh\necho "$@" > "$0.done"\nexit 3\n', 'exit status 3'),
    ('#!/no/such/interpreter\n', 'No such file or directory'),
])
def test_sessions_that_cannot_be_ended_keep_no_part(
        tmp_path, caplog, content, problem):
    script, pid = tmp_path / 'web', tmp_path / 'web.pid'
    sessions = tmp_path / 'web.session'
    script.write_text(content)
    script.chmod(0o755)
    options = {'script-files': str(script), 'pid-files': str(pid),
               '__buildout_installed__': str(script),
               'location': str(tmp_path / 'parts')}
    removal.uninstall('web', dict(options))
    assert caplog.text == ''
    script.write_text(content)
    script.chmod(0o755)
    sessions.touch()
    removal.uninstall('web', dict(options))
    assert f'{script} forget: {problem}. Nodes of processes' in caplog.text
    assert f'`forget {sessions}` of another server' in caplog.text
    assert not script.exists() and sessions.exists()
    done = tmp_path / 'web.done'
    assert done.read_text() == 'forget\n' if done.exists() else (
        'interpreter' in content)
