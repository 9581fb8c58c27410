"""Git over HTTP as WSGI: git's own ``http-backend``, and dulwich.

Each function returns an application that serves the bare repository
``folder / 'repo.git'`` for reading and pushing.
"""
from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import BinaryIO

BLOCK_BYTES = 1 << 16

# What http-backend(1) is told by a CGI server.
NAMES = ('REQUEST_METHOD', 'QUERY_STRING', 'CONTENT_TYPE', 'CONTENT_LENGTH',
         'REMOTE_ADDR', 'PATH_INFO', 'HTTP_CONTENT_ENCODING')

# Neither the user's settings nor a password prompt.
ENVIRONMENT = {**os.environ, 'GIT_CONFIG_GLOBAL': os.devnull,
               'GIT_CONFIG_SYSTEM': os.devnull, 'GIT_TERMINAL_PROMPT': '0',
               'GIT_AUTHOR_NAME': 'a', 'GIT_AUTHOR_EMAIL': 'a@example.org',
               'GIT_COMMITTER_NAME': 'a',
               'GIT_COMMITTER_EMAIL': 'a@example.org'}


def git(folder: Path, *arguments: str, **more: Any) -> bytes:
    """Run git in a folder; return what it prints."""
    return subprocess.run(['git', *arguments], cwd=folder, env=ENVIRONMENT,
                          check=True, capture_output=True, **more).stdout


def make_repository(folder: Path) -> Path:
    """Make the bare repository, empty, which takes pushes."""
    repository = folder / 'repo.git'
    git(folder, 'init', '-q', '--bare', '-b', 'main', str(repository))
    git(repository, 'config', 'http.receivepack', 'true')
    return repository


def http_backend(folder: Path) -> Any:
    """Serve by ``git http-backend``."""
    make_repository(folder)

    def application(environ: dict[str, Any],
                    start_response: Callable[..., Any]) -> Iterator[bytes]:
        process = subprocess.Popen(
            ['git', 'http-backend'], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={
                **ENVIRONMENT, 'GIT_PROJECT_ROOT': str(folder),
                'GIT_HTTP_EXPORT_ALL': '1',
                'GIT_PROTOCOL': environ.get('HTTP_GIT_PROTOCOL', ''),
                **{name: environ[name] for name in NAMES
                   if name in environ}})
        feeder = threading.Thread(target=feed, args=(
            process.stdin, environ['wsgi.input']))
        feeder.start()
        status, headers = '200 OK', []
        assert process.stdout is not None
        while line := process.stdout.readline().decode().strip():
            name, _, value = line.partition(': ')
            if name == 'Status':
                status = value
            else:
                headers.append((name, value))
        start_response(status, headers)

        def blocks() -> Iterator[bytes]:
            with process:
                yield from iter(lambda: process.stdout.read1(BLOCK_BYTES),
                                b'')
                feeder.join()

        return blocks()

    return application


def feed(target: BinaryIO, source: BinaryIO) -> None:
    """Copy a request's body, and close the target."""
    with target:
        for block in iter(lambda: source.read(BLOCK_BYTES), b''):
            target.write(block)


def dulwich(folder: Path) -> Any:
    """Serve by dulwich, git in Python."""
    from dulwich.repo import Repo
    from dulwich.server import DictBackend
    from dulwich.web import make_wsgi_chain
    return make_wsgi_chain(DictBackend(
        {'/repo.git': Repo(str(make_repository(folder)))}))
