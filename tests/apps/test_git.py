"""Git: pushes of 20 MB and clones, by git itself and as plain bytes."""
import gzip
import shutil
import socket

import pytest
from zkzopeserver_support import git_sites
from zkzopeserver_support.beside import ask
from zkzopeserver_support.beside import waitress_served
from zkzopeserver_support.beside import zope_served
from zkzopeserver_support.differences import unexplained
from zkzopeserver_support.git_sites import git
from zkzopeserver_support.requests import CHUNKED
from zkzopeserver_support.requests import chunked
from zkzopeserver_support.requests import noise
from zkzopeserver_support.requests import request

LARGE_BYTES = 20 << 20

# A clone names each, so that its request is large enough to be gzipped.
BRANCHES = 60

pytestmark = pytest.mark.skipif(shutil.which('git') is None,
                                reason='git is not installed')

SERVED = {'zope.server': zope_served, 'waitress': waitress_served}


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    """A repository with a file of 20 MB and many branches."""
    folder = tmp_path_factory.mktemp('work')
    git(folder, 'init', '-q', '-b', 'main')
    (folder / 'large').write_bytes(noise(LARGE_BYTES))
    git(folder, 'add', '.')
    git(folder, '-c', 'core.compression=0', 'commit', '-q', '-m', 'large')
    git(folder, 'fast-import', '--quiet', input=b''.join(
        b'commit refs/heads/b%d\ncommitter a <a@example.org> %d +0000\n'
        b'data 2\nb\nfrom refs/heads/main\n\n' % (number, number)
        for number in range(1, BRANCHES + 1)))
    return folder


@pytest.fixture(params=[git_sites.http_backend, git_sites.dulwich],
                ids=['http-backend', 'dulwich'])
def make_site(request):
    return request.param


def test_push_and_clone(make_site, work, tmp_path):
    """Beyond http.postBuffer git sends chunks."""
    with zope_served(make_site(tmp_path)) as (host, port):
        url = f'http://{host}:{port}/repo.git'
        git(work, '-c', 'http.postBuffer=65536', '-c', 'core.compression=0',
            'push', '-q', url, '--all')
        git(tmp_path, 'clone', '-q', url, 'clone')
    git(tmp_path / 'repo.git', 'fsck', '--strict')
    assert heads(tmp_path / 'repo.git') == heads(work)
    assert (tmp_path / 'clone' / 'large').read_bytes() == noise(LARGE_BYTES)


def heads(repository):
    return git(repository, 'for-each-ref', '--format=%(objectname)'
               ' %(refname)', 'refs/heads')


def line(text):
    """Return a pkt-line of gitprotocol-common(5)."""
    return b'%04x' % (len(text) + 4) + text


@pytest.fixture(scope='module')
def push(work):
    """The body of a push of the branch ``main``."""
    commit = git(work, 'rev-parse', 'main').strip()
    pack = git(work, 'pack-objects', '--stdout', '--revs', '-q',
               '--compression=0', input=b'main\n')
    return line(b'0' * 40 + b' ' + commit + b' refs/heads/main\0'
                b' report-status agent=a') + b'0000' + pack


def test_a_push_in_gzipped_chunks(make_site, push, work, tmp_path):
    body = chunked(gzip.compress(push, 1), 50_000)
    answers = {}
    for name, served in SERVED.items():
        folder = tmp_path / name
        folder.mkdir()
        with served(make_site(folder)) as address:
            refs = ask(address, request(
                'GET /repo.git/info/refs?service=git-receive-pack'))
            done = ask(address, request(
                'POST /repo.git/git-receive-pack',
                'Content-Type: application/x-git-receive-pack-request\r\n'
                'Content-Encoding: gzip\r\n' + CHUNKED, body, length=False))
        assert b'unpack ok' in done.body and b'ok refs/heads/main' in done.body
        assert git(folder / 'repo.git', 'rev-parse', 'main') == git(
            work, 'rev-parse', 'main')
        answers[name] = refs, done
    for here, waitress in zip(*answers.values(), strict=True):
        assert unexplained(here, waitress) == []


def test_a_client_that_goes_away_in_a_push(make_site, push, tmp_path):
    """The server serves on, and nothing is pushed."""
    with zope_served(make_site(tmp_path)) as address:
        with socket.create_connection(address) as sock:
            sock.sendall(request(
                'POST /repo.git/git-receive-pack', CHUNKED,
                chunked(push)[:5_000_000], length=False))
        refs = ask(address, request(
            'GET /repo.git/info/refs?service=git-receive-pack'))
    assert refs.status.endswith('200 OK')
    assert heads(tmp_path / 'repo.git') == b''
