"""doc/migration.txt: the options beside those of other servers."""
import re

import pytest
from zkzopeserver_support.migration import entries

from zc.zkzopeserver import options

SERVERS = 'waitress', 'gunicorn', 'pserve', 'uWSGI'

# What has the form of an option in a definition, and is none of the server.
OTHERS = {
    # of the recipe and of PasteDeploy
    'eggs', 'user', 'use', 'main', 'zkzopeserver',
    # of the server's code
    'removed_fields',
    # words of trusted_proxy_headers, and what nginx has
    'for', 'proto', 'forwarded', 'proxy_pass',
}


@pytest.mark.parametrize('server', SERVERS)
def test_our_options_are_there(server):
    found = set()
    for term, definition in entries(server):
        for name in re.findall('``([a-z_]+)``', definition):
            assert name in options.BY_NAME or name in OTHERS, (term, name)
            found.add(name)
    assert len(found & set(options.BY_NAME)) >= 2


@pytest.mark.parametrize('server', SERVERS)
def test_the_same_is_the_same(server):
    for term, definition in entries(server):
        if definition.lstrip().startswith('the same') and server != 'pserve':
            for name in re.findall('``(.+?)``', term):
                assert name in options.BY_NAME, (server, name)
