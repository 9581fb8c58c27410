"""The whole examples of doc/migration.txt, each as it stands there."""
from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import shutil
import sys
import textwrap
from importlib import metadata
from pathlib import Path

import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support import processes
from zkzopeserver_support.running import get
from zope_server_support.fronts import CLIENT
from zope_server_support.fronts import NAME
from zope_server_support.fronts import ask_front
from zope_server_support.fronts import free_port
from zope_server_support.fronts import haproxy
from zope_server_support.fronts import make_certificate
from zope_server_support.fronts import nginx

from zc.zkzopeserver import options

TEXT = (Path(__file__).parents[2] / 'doc' / 'migration.txt').read_text()
PROVIDERS = '/acme/web/providers'
HELLO = 'call:zc.zkzopeserver.hello:make_hello'


def block(title, beginning):
    """Return the indented block of an example that begins so."""
    section = re.split(r'\n(.+)\n~~~+\n', TEXT.partition(
        '\nWhole examples\n---')[2])
    text = dict(zip(section[1::2], section[2::2], strict=True))[title]
    match = re.search(rf'::\n\n(    {re.escape(beginning)}.*\n(?:    .*\n|\n'
                      r'(?=    ))*)', text)
    assert match, beginning
    return textwrap.dedent(match[1])


def replaced(text, pairs):
    """Replace parts of a text, each of which is there."""
    for old, new in pairs.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def acme(embedded):
    """The ZooKeeper, with the tree of the examples."""
    embedded.zk.import_tree('/acme\n  /web\n    /providers\n')
    yield embedded
    wait_for(lambda: not embedded.zk.get_children(PROVIDERS), 15)


def environment(folder):
    return {'PYTHONPATH': os.pathsep.join([str(folder),
                                           *filter(None, sys.path)])}


@contextlib.contextmanager
def command(folder, words, **variables):
    """Run the words of a ``zkzopeserver`` command line."""
    assert os.path.basename(words[0]) in {
        each.name for each in metadata.entry_points(group='console_scripts')}
    process = processes.Process(
        [sys.executable, '-m', 'zc.zkzopeserver', *words[1:]], folder,
        **environment(folder), **variables)
    try:
        yield process
    finally:
        process.close()


FRONTS = {
    'nginx, with TLS': (nginx, 'upstream web', 'nginx.ini'),
    'HAProxy, with the PROXY protocol': (haproxy, 'listen www',
                                         'haproxy.ini'),
}


@pytest.mark.parametrize('shown, value', [
    ('wsgi.url_scheme', 'https'), ('REMOTE_ADDR', CLIENT),
    ('HTTP_HOST', NAME)])
@pytest.mark.parametrize('title', FRONTS)
def test_proxies(title, shown, value, acme, tmp_path):
    kind, beginning, name = FRONTS[title]
    certificate = make_certificate(tmp_path)
    ours, theirs = free_port(), free_port()
    (tmp_path / name).write_text(replaced(block(title, '[app:main]'), {
        HELLO: 'call:zkzopeserver_support.echo:make_echo\n'
               f'shows = {shown}',
        '127.0.0.1:2181': acme.connection_string, '8080': str(ours)}))
    front = replaced(block(title, beginning).replace(':443', '443'), {
        '443': f'127.0.0.1:{theirs}', '/etc/ssl/www.pem': str(certificate),
        '127.0.0.1:8080': f'127.0.0.1:{ours}'})
    with command(tmp_path, ['zkzopeserver', str(tmp_path / name)]) as process:
        processes.registered(acme.zk.client, process, PROVIDERS)
        with kind(tmp_path / 'front', front, theirs):
            status, _, body = ask_front(
                theirs, '/', certificate, X_Forwarded_For='6.6.6.6',
                X_Forwarded_Proto='gopher')
            assert (status, body.decode().split()[-1]) == (200, value)
        assert process.stopped() == 0
        # Neither the checks of a proxy nor its end are anybody's trouble.
        assert not re.search('WARNING|ERROR|Traceback', process.output)


def test_container(acme, tmp_path):
    title = 'A container'
    lines = [line.partition(' ')[::2] for line in block(
        title, 'FROM ').splitlines()]
    variables = dict(rest.split('=') for word, rest in lines if word == 'ENV')
    dockerfile = dict(lines)
    assert dockerfile['STOPSIGNAL'] == 'SIGTERM'
    (tmp_path / 'web.ini').write_text(block(title, '[app:main]'))
    (tmp_path / 'run').mkdir()

    def words(text):
        return [{'/srv/web.ini': str(tmp_path / 'web.ini'),
                 '/tmp': str(tmp_path / 'run')}.get(word, word)
                for word in text]

    run = shlex.split(block(title, 'docker run'))
    timeout = int(run[run.index('--stop-timeout') + 1])
    assert timeout > longest_stop_s()
    served = run[run.index('IMAGE') + 1:]
    assert served[:-1] == json.loads(dockerfile['CMD'])
    assert served[-1] == 'zk=zk1:2181'
    zookeeper = f'zk={acme.connection_string}'
    with command(tmp_path, [*words(served[:-1]), zookeeper],
                 **variables) as process:
        address, = processes.registered(acme.zk.client, process, PROVIDERS)
        # The address from which ZooKeeper is reached here.
        assert address.startswith('127.0.0.1:')
        assert get(address)[0] == 200
        health = json.loads(dockerfile['HEALTHCHECK'].partition(' ')[2])
        with command(tmp_path, [*words(health), zookeeper],
                     **variables) as status:
            assert status.ended() == 0, status.output
        assert process.stopped() == 0
    assert {path.name for path in tmp_path.iterdir()
            if not path.name.startswith('output-')} == {'web.ini', 'run'}


def longest_stop_s():
    """Return the seconds that a stop may take by default."""
    by_name = options.BY_NAME
    return (by_name['deregister_wait'].default
            + by_name['graceful_timeout'].default + 1)


def program_section():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(block('supervisor', '[program:web]'))
    return dict(parser['program:web'])


def test_program_section_of_supervisor():
    section = program_section()
    words = shlex.split(section['command'])
    assert os.path.basename(words[0]) == 'zkzopeserver'
    assert words[-1] == 'fg'
    assert int(section['stopwaitsecs']) > longest_stop_s()


def test_supervisor(acme, tmp_path):
    supervisord = shutil.which('supervisord')
    if supervisord is None:
        pytest.skip('there is no supervisord (Debian: apt-get install'
                    ' supervisor)')
    (tmp_path / 'run').mkdir()
    (tmp_path / 'bin').mkdir()
    script = tmp_path / 'bin' / 'zkzopeserver'
    path = environment(tmp_path)['PYTHONPATH']
    script.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(path)} exec'
                      f' {sys.executable} -m zc.zkzopeserver "$@"\n')
    script.chmod(0o755)
    processes.write_ini(tmp_path, acme.connection_string,
                        path=PROVIDERS, workers='2', loggers='INFO')
    text = block('supervisor', '[program:web]').replace('/srv/web',
                                                        str(tmp_path))
    (tmp_path / 'supervisord.conf').write_text(
        f'[supervisord]\nnodaemon = true\nlogfile = {tmp_path}/log\n'
        f'pidfile = {tmp_path}/pid\nchildlogdir = {tmp_path}\n{text}')
    # supervisord runs on the Python of the system, with nothing of ours.
    process = processes.Process(
        ['env', '-u', 'PYTHONPATH', supervisord, '-c',
         str(tmp_path / 'supervisord.conf')], tmp_path)
    log = tmp_path / 'run' / 'web.log'
    try:
        processes.registered(acme.zk.client, process, PROVIDERS, count=2)
        assert process.stopped() == 0, process.output
        assert 'SIGTERM: stopping 2 workers' in log.read_text()
        assert 'all workers have stopped' in log.read_text()
    finally:
        process.close()
    assert acme.zk.get_children(PROVIDERS) == []
