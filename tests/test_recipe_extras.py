"""A part has the extras of zc.zkzopeserver that its options need."""
from __future__ import annotations

import pytest
from zkzopeserver_support.recipe_sandbox import Sandbox
from zkzopeserver_support.recipe_sandbox import Store

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
