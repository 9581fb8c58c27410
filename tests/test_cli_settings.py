"""The settings that `stop` reads, from an ini that may be wrong."""
from pathlib import Path

import pytest

from zc.zkzopeserver.cli import settings
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.workers import protocol

INI = '''\
[server:main]
use = egg:zc.zkzopeserver
zookeeper = 127.0.0.1:2181
path = /p
'''


@pytest.fixture
def lenient(tmp_path):
    """A function: read an ini with this text for a stop; None: no ini."""
    def make(text):
        path = tmp_path / 'web.ini'
        if text is not None:
            path.write_text(text)
        return settings.read_for_stop(Instance(str(path)))
    return make


@pytest.mark.parametrize('text', [None, 'no section\n'])
def test_without_an_ini(lenient, text):
    found = lenient(text)
    assert (found.server_options, found.options, found.is_known) == (
        {}, None, False)
    assert found.stop_timeout_s == settings.UNKNOWN_S
    with pytest.raises(ConfigurationError, match=r'web\.ini: '):
        found.ours.path  # noqa: B018 (it raises)


@pytest.mark.parametrize('more', [
    'workers = x', 'graceful_timeout = x', 'deregister_wait = x',
    'path = x'])
def test_an_ini_that_does_not_tell_how_to_stop(lenient, more):
    found = lenient(INI.replace('path = /p\n', '' if 'path' in more else
                                'path = /p\n') + more + '\n')
    assert found.stop_timeout_s == settings.UNKNOWN_S


def test_what_is_wrong_elsewhere_does_not_matter(lenient):
    found = lenient(INI + 'threads = x\ngraceful_timeout = 100\n')
    assert found.is_known
    assert 100 < found.stop_timeout_s < settings.UNKNOWN_S


def test_of_a_server_of_others_little_is_known(lenient):
    pytest.importorskip('waitress')
    found = lenient('[server:main]\nuse = egg:waitress#main\n')
    assert found.is_known
    assert found.stop_timeout_s == settings.OTHERS_S


def test_the_document_says_how_long_a_stop_may_take():
    path = Path(__file__).parents[1] / 'doc' / 'operations.txt'
    seconds = protocol.MARGIN_S + settings.STOP_MARGIN_S
    assert (f'``stop`` kills a server that has not ended {seconds} s after'
            ' ``deregister_wait`` and ``graceful_timeout`` together.'
            ) in ' '.join(path.read_text(encoding='utf-8').split())
