"""A deployment's part, from the section to the node in ZooKeeper and back."""
from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import urllib.request

import pytest
from zc.zk import ZooKeeper

from zc.zkzopeserver.tests.recipe_sandbox import Sandbox
from zc.zkzopeserver.tests.recipe_sandbox import Store

USER = getpass.getuser()

# What the server requires is where this process has it from.
PATHS = '\n    '.join(path for path in sys.path if os.path.isdir(path))

SECTIONS = f"""
[production]
recipe = zc.recipe.deployment
name = shop
prefix = ${{buildout:directory}}/root
user = {USER}
etc-user = {USER}

[web]
recipe = zc.zkzopeserver
deployment = production
app = egg:sandboxapp
app-options =
    greeting = 100% # hello
    text = one
      two
zookeeper = ZOOKEEPER
path = /shop/web/providers
host = 127.0.0.1
access_log = access.log
deregister_wait = 0
start-timeout = 60
loggers =
    <logger>
      level INFO
      <logfile>
        path ${{production:log-directory}}/event.log
        format %(levelname)s $$(message)s
      </logfile>
    </logger>
tree =
    /shop
      /web
        /providers
extra-paths =
    {PATHS}
"""


@pytest.fixture
def sandbox(tmp_path):
    (tmp_path / 'b').mkdir()
    store = Store(tmp_path / 'store')
    yield Sandbox(tmp_path / 'b', store)
    store.close()


def test_a_deployment_runs(sandbox, zookeeper):
    sandbox.built(SECTIONS.replace('ZOOKEEPER', zookeeper.connection_string))

    def run(*command):
        done = subprocess.run(command, cwd=sandbox.root, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == 0, done.stdout
        return done.stdout

    script = sandbox.path('root', 'etc', 'init.d', 'shop-web')
    with ZooKeeper(zookeeper.connection_string) as zk:
        run('bin/web-tree', 'import')
        assert run('bin/web-tree', 'diff') == ''
        run(script, 'start')
        try:
            [address] = zk.get_children('/shop/web/providers')
            with urllib.request.urlopen(f'http://{address}/') as answer:
                options = json.load(answer)[1]
        finally:
            run(script, 'stop')
        assert zk.get_children('/shop/web/providers') == []
    assert options == {'greeting': '100% # hello', 'text': 'one\ntwo'}
    log = sandbox.path('root', 'var', 'log', 'shop')
    assert 'GET / HTTP/1.1' in (log / 'access.log').read_text()
    assert 'INFO serving on' in (log / 'event.log').read_text()
    assert sandbox.path('root', 'var', 'run', 'shop', 'web.log').exists()
