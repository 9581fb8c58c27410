"""The `loggers` option, in processes of its own: logging is global."""
import errno
import logging
import os
import subprocess
import sys

import pytest

from zc.zkzopeserver import logconfig
from zc.zkzopeserver.errors import ConfigurationError

PROGRAM = '''
import logging, sys
from zc.zkzopeserver import logconfig
logconfig.configure(sys.argv[1] or None)
if sys.argv[2:]:
    logconfig.configure_default()
for level in 'debug', 'info', 'warning':
    getattr(logging.getLogger('some'), level)('a %s', level)
logging.getLogger('kazoo.client').info('from kazoo')
'''


def logged(loggers, *more):
    """Return what a process of its own logs to stderr."""
    return subprocess.run(
        [sys.executable, '-c', PROGRAM, loggers, *more], text=True,
        check=True, capture_output=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))).stderr


@pytest.mark.parametrize('loggers, seen', [
    ('DEBUG', ['a debug', 'a info', 'a warning']),
    ('INFO', ['a info', 'a warning']),
    ('20', ['a info', 'a warning']),
    ('WARNING', ['a warning']),
    ('CRITICAL', []),
])
def test_levels(loggers, seen):
    output = logged(loggers)
    assert [text for text in ('a debug', 'a info', 'a warning')
            if text in output] == seen


def test_a_level_where_a_launcher_has_set_logging_up():
    """As pserve does, which shows warnings alone."""
    output = subprocess.run(
        [sys.executable, '-c', 'import logging; logging.basicConfig()'
         + PROGRAM, 'INFO'], text=True, check=True, capture_output=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))).stderr
    assert 'INFO:some:a info\n' in output
    assert 'a debug' not in output


def test_the_level_info_leaves_kazoo_out_and_debug_does_not():
    assert 'from kazoo' not in logged('INFO')
    assert 'from kazoo' in logged('DEBUG')


def test_the_default_shows_info_but_not_kazoo():
    output = logged('', 'default')
    assert 'INFO some a info' in output
    assert 'a debug' not in output
    assert 'from kazoo' not in output


ZCONFIG = '''
<logger>
  level INFO
  <logfile>
    path %s
    format ours: $$(message)s
  </logfile>
</logger>
'''


@pytest.mark.parametrize('dollar', ['$$', '$'])
def test_zconfig_text(tmp_path, dollar):
    path = tmp_path / 'event.log'
    assert logged((ZCONFIG % path).replace('$$', dollar)) == ''
    assert path.read_text().splitlines()[:2] == [
        'ours: a info', 'ours: a warning']


@pytest.mark.parametrize('text, reason', [
    ('<logger>\n', 'unclosed'),
    ('<logger>\nlevel LOUD\n</logger>', 'LOUD'),
    ('<looger>\n</looger>', 'looger'),
    ('<logger>\n<logfile>\npath /nosuch/folder/x\n</logfile>\n</logger>',
     '/nosuch/folder/x'),
])
def test_zconfig_text_that_is_wrong(text, reason):
    with pytest.raises(ConfigurationError) as caught:
        logconfig.configure(text)
    assert str(caught.value).startswith("option 'loggers': ")
    assert reason.lower() in str(caught.value).lower()
    assert '\n' not in str(caught.value)


REOPENING = '''
import logging, os, sys
from zc.zkzopeserver import logconfig
logconfig.configure(sys.argv[1])
logging.getLogger().addHandler(logging.FileHandler(sys.argv[3]))
logging.warning('first')
for path in sys.argv[2:]:
    os.rename(path, path + '.1')
logconfig.reopen()
logging.warning('second')
'''


def test_reopen(tmp_path):
    paths = [str(tmp_path / name) for name in ('a.log', 'b.log')]
    subprocess.run(
        [sys.executable, '-c', REOPENING, ZCONFIG % paths[0], *paths],
        check=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
    for path in paths:
        with open(path) as new, open(path + '.1') as old:
            assert 'first' in old.read()
            text = new.read()
            assert 'second' in text and 'first' not in text


class Rotated(logging.FileHandler):
    """A handler with a `reopen` as that of ZConfig."""

    def reopen(self):
        self.stream.close()
        self.stream = self._open()


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
@pytest.mark.parametrize('kind', [Rotated, logging.FileHandler])
def test_reopen_with_a_full_disk(tmp_path, monkeypatch, kind):
    """What cannot be written keeps no file from being opened again."""
    full, good = kind(tmp_path / 'full.log'), kind(tmp_path / 'good.log')
    full.stream.close()
    # Its last line is still in the buffer.
    full.stream = open('/dev/full', 'w')
    full.stream.write('lost')
    monkeypatch.setattr(logconfig, '_handlers', lambda: [full, good])
    os.rename(tmp_path / 'good.log', tmp_path / 'good.log.1')
    told = []
    monkeypatch.setattr(logconfig.logger, 'error',
                        lambda *arguments: told.append(arguments))
    logconfig.reopen()
    for handler in full, good:
        handler.handle(logging.makeLogRecord({'msg': 'second'}))
        handler.close()
    for name in 'full.log', 'good.log':
        assert (tmp_path / name).read_text() == 'second\n'
    (_, path, error), = told
    assert path == str(tmp_path / 'full.log')
    assert error.errno == errno.ENOSPC


def rotated(folder, *modes):
    """Yield handlers of files in these modes, which were renamed since."""
    for mode in modes:
        handler = logging.FileHandler(folder / f'{mode}.log', mode)
        handler.handle(logging.makeLogRecord({'msg': 'first'}))
        os.rename(folder / f'{mode}.log', folder / f'{mode}.old')
        yield handler


def test_reopen_in_any_mode(tmp_path, monkeypatch):
    """A closed handler of the mode 'w' would never write again."""
    handlers = list(rotated(tmp_path, 'a', 'w'))
    monkeypatch.setattr(logconfig, '_handlers', lambda: handlers)
    assert logconfig.reopen() == []
    for handler in handlers:
        handler.handle(logging.makeLogRecord({'msg': 'second'}))
        assert logconfig.reopen() == []
        handler.handle(logging.makeLogRecord({'msg': 'third'}))
        handler.close()
    for mode in 'a', 'w':
        assert (tmp_path / f'{mode}.old').read_text() == 'first\n'
        # Opened again without a rotation, it was not emptied.
        assert (tmp_path / f'{mode}.log').read_text() == 'second\nthird\n'


def test_what_cannot_be_reopened_goes_on_in_the_old_file(tmp_path,
                                                         monkeypatch):
    handler, = rotated(tmp_path, 'a')
    (tmp_path / 'a.log').mkdir()
    monkeypatch.setattr(logconfig, '_handlers', lambda: [handler])
    problem, = logconfig.reopen()
    assert problem.startswith(f'log file {tmp_path}/a.log: Is a')
    handler.handle(logging.makeLogRecord({'msg': 'second'}))
    handler.close()
    assert (tmp_path / 'a.old').read_text() == 'first\nsecond\n'
