"""What a part needs: zc.buildout, and the extras of zc.zkzopeserver."""
from __future__ import annotations

import pytest
import zc.buildout
from zkzopeserver_support.recipe_sandbox import Sandbox
from zkzopeserver_support.recipe_sandbox import Store

from zc.zkzopeserver.recipe import eggs

SECTION = """
[web]
recipe = zc.zkzopeserver
app = egg:sandboxapp
zookeeper = 127.0.0.1:2181
path = /fooservice/providers
"""

LOGGERS = """
daemon = false
loggers =
    <logger>
      level INFO
    </logger>
"""


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    """Return a store without the distributions that the extras require."""
    made = Store(tmp_path_factory.mktemp('store'), extras=[
        f'[{name}]\nneeded-for-{name}' for name in
        ('daemon', 'monitor', 'loggers')])
    yield made
    made.close()


@pytest.fixture
def sandbox(store, tmp_path):
    return Sandbox(tmp_path, store)


@pytest.mark.parametrize('options, extra', [
    ('', 'daemon'),
    ('daemon = true\nsystemd = true\n', 'daemon'),
    ('instances = a b\nsystemd = true\nb.daemon = yes\n', 'daemon'),
    ('daemon = false\nmonitor_server = 127.0.0.1:0\n', 'monitor'),
    (LOGGERS, 'loggers'),
])
def test_extras_that_the_options_need_are_required(sandbox, options, extra):
    error = sandbox.refused(SECTION + options)
    assert f'for needed-for-{extra}' in error


@pytest.mark.parametrize('options', [
    'daemon = false\n', 'systemd = true\n',
    'daemon = false\nloggers = INFO\n',
])
def test_extras_that_they_do_not_need_are_not(sandbox, options):
    sandbox.built(SECTION + options)
    assert sandbox.path('bin', 'web').exists()


@pytest.mark.parametrize('version', ['3.3', '4.1.12', '5.0.0a3'])
def test_a_zc_buildout_that_is_too_old_is_told_in_a_line(version):
    with pytest.raises(zc.buildout.UserError) as caught:
        eggs.check_buildout(version)
    assert str(caught.value) == (
        f'zc.zkzopeserver needs zc.buildout >= 5.1, and this is {version}')


@pytest.mark.parametrize('version', ['', '5.1.0', '5.3.0a2', '6.0.1', '10.0'])
def test_newer_ones_are_not_too_old(version):
    eggs.check_buildout(version)
