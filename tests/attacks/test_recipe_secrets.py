"""No file that the recipe makes lets others read a secret."""
from __future__ import annotations

import os
import stat
import subprocess

import pytest
from zkzopeserver_support.recipe_sandbox import Sandbox

from zc.zkzopeserver.recipe import section

SECRET = 'tr0ub4dor'

# A secret in every option that can have one.
SECTION = """
[web]
recipe = zc.zkzopeserver
app = egg:sandboxapp
app-options =
    db_password = tr0ub4dor
    dsn = postgres://me:tr0ub4dor@db/x
global-options = api_key = tr0ub4dor
filters = egg:sandboxapp#one deep
zookeeper = 127.0.0.1:2181
path = /shop/web
properties = token = 'tr0ub4dor'
zookeeper-auth = digest shop:tr0ub4dor
environment-vars =
    DB_PASSWORD=tr0ub4dor
    PLACE here
initialization =
    import os
    os.environ['API_TOKEN'] = 'tr0ub4dor'
arguments = **{'password': 'tr0ub4dor'}
on-change = true --token tr0ub4dor
loggers =
    <logger>
      <email-notifier>
        from shop@example.org
        to ops@example.org
        subject Trouble
        smtp-server mail.example.org
        smtp-username shop
        smtp-password tr0ub4dor
      </email-notifier>
    </logger>
logrotate =
    daily
    postrotate
        curl -H 'X-Token: tr0ub4dor' http://127.0.0.1/
    endscript
tree =
    /shop
      password = 'tr0ub4dor'
interpreter = py
scripts = hello
entry-points = other=sandboxapp:hello
systemd = true
my-own-password = tr0ub4dor

[deep]
secret = tr0ub4dor

[other]
recipe = zc.zkzopeserver
ini =
    [app:main]
    use = egg:sandboxapp
    password = tr0ub4dor
use-server = egg:sandboxapp#main
server-options = password = tr0ub4dor

[trees]
recipe = zc.zkzopeserver:tree
"""

# Options whose values are names, numbers and paths, and the one in which a
# secret is refused.
WITHOUT = {
    'app', 'use-server', 'deployment', 'instances', 'daemon', 'start-timeout',
    'stop-on-uninstall', 'systemd', 'systemd-unit', 'eggs', 'scripts',
    'interpreter', 'extra-paths', 'relative-paths', 'entry-points',
    'dependent-scripts', 'filters',
}


@pytest.fixture
def umask():
    return 0o022


@pytest.fixture
def sandbox(tmp_path, umask, store):
    before = os.umask(umask)
    (tmp_path / 'b').mkdir()
    yield Sandbox(tmp_path / 'b', store)
    os.umask(before)


def told(root):
    """Return the files with the secret that others can read."""
    found = []
    for path in root.rglob('*'):
        if (path.is_file() and SECRET.encode() in path.read_bytes()
                and path.name != 'buildout.cfg'
                and stat.S_IMODE(os.stat(path).st_mode) & 0o077):
            found.append(str(path.relative_to(root)))
    return found


def test_the_section_has_a_secret_in_each_option():
    lines = SECTION.splitlines()
    for option in section.OWN:
        start = [number for number, line in enumerate(lines)
                 if line.startswith(f'{option.name} =')]
        if option.name in WITHOUT:
            continue
        assert start, option.name
        value = [lines[start[0]]]
        for line in lines[start[0] + 1:]:
            if not line.startswith(' '):
                break
            value.append(line)
        assert SECRET in '\n'.join(value), option.name


@pytest.mark.parametrize('umask', [0o022, 0o002, 0o077])
def test_no_file_shows_a_secret(sandbox, umask):
    sandbox.built(SECTION, parts='web other trees')
    assert told(sandbox.root) == []
    # Once more, where the files are there already.
    sandbox.built(SECTION + 'threads = 2\n', parts='web other trees')
    assert told(sandbox.root) == []
    assert SECRET in sandbox.read('parts/web/web.secrets.py')
    assert SECRET in sandbox.read('.installed.cfg')
    assert stat.S_IMODE(os.stat(
        sandbox.path('.installed.cfg')).st_mode) & 0o077 == 0


def test_only_options_of_others_are_in_installed_cfg(sandbox):
    sandbox.built(SECTION, parts='web other trees')
    lines = [line for line in sandbox.read('.installed.cfg').splitlines()
             if SECRET in line]
    assert lines == [f'my-own-password = {SECRET}']


def test_without_secrets_everybody_can_read_installed_cfg(sandbox):
    sandbox.built("""
[web]
recipe = zc.zkzopeserver
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
path = /shop/web
""")
    assert stat.S_IMODE(os.stat(
        sandbox.path('.installed.cfg')).st_mode) == 0o644


def test_a_failed_run_leaves_an_installed_cfg_that_buildout_reads(sandbox):
    text = SECTION.replace('true --token', 'false --token')
    sandbox.refused(text, parts='web other trees')
    sandbox.built(SECTION, parts='web other trees')
    assert 'Updating web' in sandbox.built()


def test_scripts_still_get_what_is_secret(sandbox):
    sandbox.built(SECTION, parts='web other trees')
    show = sandbox.path('show.py')
    show.write_text('import os\nprint(os.environ["PLACE"],'
                    ' os.environ["DB_PASSWORD"], os.environ["API_TOKEN"])\n')
    done = subprocess.run([sandbox.path('bin/py'), show], text=True,
                          stdout=subprocess.PIPE, check=True)
    assert done.stdout.split() == ['here', SECRET, SECRET]
    script = sandbox.read('bin/web')
    assert '**secret_arguments[1]' in script
    # main() is given the secret, and has no such parameter.
    done = subprocess.run([sandbox.path('bin/web'), 'show'], text=True,
                          stderr=subprocess.PIPE)
    assert "unexpected keyword argument 'password'" in done.stderr


def test_a_script_without_its_secrets_ends_with_a_line(sandbox):
    sandbox.built(SECTION, parts='web other trees')
    sandbox.path('parts/web/web.secrets.py').unlink()
    for name in 'py', 'web':
        done = subprocess.run([sandbox.path('bin', name)], text=True,
                              stderr=subprocess.PIPE)
        assert done.returncode == 2
        assert done.stderr == (
            f'{name}: {sandbox.root}/parts/web/web.secrets.py: No such file'
            ' or directory; it has secrets, and only the user that it belongs'
            ' to can run this script (or root)\n')
