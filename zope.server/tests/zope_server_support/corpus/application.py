"""The application that answers the requests of the cases.

``/app/NAME`` does what `ANSWERS` has under NAME; any other path is answered
with 200.  What reaches it is recorded by the client's port.
"""
from __future__ import annotations

import gzip
import io
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

ALL = 10_000_000
Answer = Callable[[dict[str, Any], Callable], Any]
PLAIN = ('Content-Type', 'text/plain')
FIVE = ('Content-Length', '5')
ANSWERS: dict[str, Answer] = {}


class Recorder:
    """The application, with a record of what has reached it."""

    def __init__(self) -> None:
        self.environs: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.closed = 0

    def seen(self, port: int) -> list[str]:
        """Return what has come from a port, as in `Case.seen`."""
        return [environ['corpus.seen']
                for environ in self.environs[str(port)]]

    def forget(self, port: int) -> None:
        """Drop the record of a port, which may have been used before."""
        self.environs.pop(str(port), None)

    def __call__(self, environ: dict[str, Any],
                 start_response: Callable) -> Iterable[bytes]:
        path = environ['PATH_INFO']
        name = path.removeprefix('/app/')
        text = f'{environ["REQUEST_METHOD"]} {path}'
        if environ.get('QUERY_STRING'):
            text += '?' + environ['QUERY_STRING']
        if name not in ('read-nothing', 'input-methods'):
            body = environ['wsgi.input'].read(ALL)
            if body:
                text += ' ' + body.decode('latin-1')
        environ['corpus.seen'] = text
        environ['corpus.closed'] = self._close
        self.environs[environ['REMOTE_PORT']].append(environ)
        if name == path:
            start_response('200 OK', [PLAIN])
            return [b'hello']
        return ANSWERS[name](environ, start_response)

    def _close(self) -> None:
        self.closed += 1


def answer(function: Answer) -> Answer:
    """Register a function as ``/app/ITS-NAME``."""
    ANSWERS[function.__name__.replace('_', '-')] = function
    return function


def simply(name: str, *headers: Any, status: Any = '200 OK',
           body: Any = b'hello') -> None:
    """Register an answer of one piece."""
    def do(environ: dict[str, Any], start_response: Callable) -> Any:
        start_response(status, [PLAIN, *headers])
        return [body]
    ANSWERS[name] = do


def in_parts(name: str, *parts: Any, headers: Any = (),
             status: str = '200 OK') -> None:
    """Register an answer by a generator of `parts`; see `generate`."""
    def do(environ: dict[str, Any], start_response: Callable) -> Any:
        start_response(status, [PLAIN, *headers])
        return generate(parts)
    ANSWERS[name] = do


def generate(parts: Iterable[Any]) -> Iterator[Any]:
    """Yield the parts, and raise those that are exceptions."""
    for part in parts:
        if isinstance(part, BaseException):
            raise part
        yield part


class Closing:
    """An iterable with a `close`."""

    def __init__(self, parts: Iterable[Any], close: Callable) -> None:
        self.parts = parts
        self.close = close

    def __iter__(self) -> Iterator[Any]:
        return generate(self.parts)


simply('list')
simply('with-length', FIVE)
simply('date', ('Date', 'then'))
simply('server', ('Server', 'mine'))
simply('cookies', ('Set-Cookie', 'a=b'), ('Set-Cookie', 'c=d'))
simply('latin-1', ('X-Foo', '\xe9'))
simply('no-reason', status='200')
simply('long-reason', status='200 All is well')
simply('status-204', status='204 No Content')
in_parts('status-204-generator', b'hello', status='204 No Content')
simply('status-304', status='304 Not Modified')
simply('status-304-with-length', FIVE, status='304 Not Modified')
simply('status-304-with-length-0', ('Content-Length', '0'),
       status='304 Not Modified', body=b'')
simply('length-0', ('Content-Length', '0'), body=b'')
in_parts('empty-generator')
simply('status-404', status='404 Not Found')
simply('status-599', status='599 Odd')
simply('read-nothing')
in_parts('generator', b'hel', b'lo')
in_parts('iterator', b'', b'he', b'', b'llo', b'')
in_parts('raise-in-generator', ValueError('secret'))
in_parts('raise-late', b'hello', ValueError('secret'))
in_parts('raise-late-with-length', b'hello', ValueError('secret'),
         headers=[('Content-Length', '10')])
in_parts('exit-late', b'hello', SystemExit('secret'))
in_parts('text-late', b'hello', 'secret')
in_parts('text-in-generator', 'secret')
in_parts('length-too-small-generator', b'he', b'llo', b'!',
         headers=[('Content-Length', '3')])
in_parts('length-too-big-generator', b'hello',
         headers=[('Content-Length', '10')])
simply('text', body='secret')
simply('number-in-list', body=5)
simply('bytearray', body=bytearray(b'hello'))
simply('memoryview', body=memoryview(b'hello'))
in_parts('bytearrays', bytearray(b'hel'), memoryview(b'lo'))
simply('value-with-crlf', ('X-Foo', 'a\r\nX-Evil: b'))
simply('value-with-lf', ('X-Foo', 'a\nX-Evil: b'))
simply('value-with-cr', ('X-Foo', 'a\rX-Evil: b'))
simply('value-with-nul', ('X-Foo', 'a\0b'))
simply('value-with-del', ('X-Foo', 'a\x7fb'))
simply('value-beyond-latin-1', ('X-Foo', '\u20ac'))
simply('value-number', ('X-Foo', 1))
simply('value-bytes', ('X-Foo', b'a'))
simply('name-with-crlf', ('X-Foo: a\r\nX-Evil', 'b'))
simply('name-with-space', ('X Foo', 'a'))
simply('name-with-colon', ('X-Foo:', 'a'))
simply('name-empty', ('', 'a'))
simply('name-bytes', (b'X-Foo', 'a'))
simply('name-not-ascii', ('X-\xe9', 'a'))
simply('header-triple', ('X-Foo', 'a', 'b'))
simply('status-with-crlf', status='200 OK\r\nX-Evil: a')
simply('status-with-nul', status='200 O\0K')
simply('status-number', status=200)
simply('status-bytes', status=b'200 OK')
simply('status-empty', status='')
simply('status-words', status='OK')
simply('status-short', status='20 OK')
simply('status-100', status='100 Continue')
simply('status-beyond-latin-1', status='200 \u20ac')
simply('hop-connection', ('Connection', 'keep-alive'))
simply('hop-connection-close', ('connection', 'close'))
simply('hop-proxy-connection', ('Proxy-Connection', 'keep-alive'))
simply('hop-keep-alive', ('Keep-Alive', 'timeout=5'))
simply('hop-transfer-encoding', ('transfer-encoding', 'chunked'))
simply('hop-upgrade', ('Upgrade', 'h2c'))
simply('hop-te', ('TE', 'trailers'))
simply('hop-trailer', ('Trailer', 'X-Foo'))
simply('length-negative', ('Content-Length', '-5'))
simply('length-words', ('Content-Length', 'five'))
simply('length-twice', ('Content-Length', '5'), ('content-length', '6'))
simply('length-too-small', ('Content-Length', '3'))
simply('length-too-big', ('Content-Length', '10'))


@answer
def list_of_parts(environ, start_response):
    start_response('200 OK', [PLAIN])
    return [b'hel', b'', b'lo']


@answer
def tuple(environ, start_response):
    start_response('200 OK', [PLAIN])
    return b'hello',


@answer
def empty_list(environ, start_response):
    start_response('200 OK', [PLAIN])
    return []


@answer
def empty_strings(environ, start_response):
    start_response('200 OK', [PLAIN])
    return [b'', b'']


@answer
def length_too_big_empty(environ, start_response):
    start_response('200 OK', [PLAIN, FIVE])
    return []


@answer
def lazy(environ, start_response):
    def parts():
        start_response('200 OK', [PLAIN])
        yield b'hello'
    return parts()


@answer
def write(environ, start_response):
    start_response('200 OK', [PLAIN])(b'hello')
    return []


@answer
def write_and_list(environ, start_response):
    send = start_response('200 OK', [PLAIN])
    send(b'hello')
    send(b', ')
    return [b'world']


@answer
def write_with_length(environ, start_response):
    start_response('200 OK', [PLAIN, FIVE])(b'hello')
    return []


@answer
def empty_write(environ, start_response):
    start_response('200 OK', [PLAIN])(b'')
    return []


@answer
def length_too_small_write(environ, start_response):
    send = start_response('200 OK', [PLAIN, ('Content-Length', '3')])
    send(b'he')
    send(b'llo')
    return []


@answer
def close(environ, start_response):
    start_response('200 OK', [PLAIN])
    return Closing([b'hello'], environ['corpus.closed'])


@answer
def raise_in_close(environ, start_response):
    def fail():
        raise ValueError('secret')
    start_response('200 OK', [PLAIN, FIVE])
    return Closing([b'hello'], fail)


@answer
def raise_in_close_late(environ, start_response):
    def fail():
        raise SystemExit('secret')
    start_response('200 OK', [PLAIN])
    return Closing([b'hel', b'lo'], fail)


def opened(content: bytes = b'hello') -> Any:
    """Return an open file."""
    found = tempfile.TemporaryFile()
    found.write(content)
    found.seek(0)
    return found


def send_file(environ, start_response, file, *headers):
    start_response('200 OK', [PLAIN, *headers])
    return environ['wsgi.file_wrapper'](file, 4)


@answer
def file(environ, start_response):
    return send_file(environ, start_response, opened())


@answer
def file_empty(environ, start_response):
    return send_file(environ, start_response, opened(b''))


@answer
def file_from_the_middle(environ, start_response):
    found = opened()
    found.read(2)
    return send_file(environ, start_response, found)


@answer
def file_with_length(environ, start_response):
    return send_file(environ, start_response, opened(),
                     ('Content-Length', '3'))


@answer
def file_too_short(environ, start_response):
    return send_file(environ, start_response, opened(),
                     ('Content-Length', '10'))


@answer
def file_like(environ, start_response):
    return send_file(environ, start_response, io.BytesIO(b'hello'))


@answer
def file_compressed(environ, start_response):
    with tempfile.NamedTemporaryFile() as found:
        found.write(gzip.compress(b'hello'))
        found.flush()
        return send_file(environ, start_response, gzip.open(found.name))


@answer
def replaced(environ, start_response):
    start_response('200 OK', [PLAIN, ('X-Foo', 'secret')])
    try:
        raise ValueError('secret')
    except ValueError:
        start_response('503 Sorry', [PLAIN], sys.exc_info())
    return [b'sorry']


@answer
def replace_late(environ, start_response):
    start_response('200 OK', [PLAIN])(b'hello')
    try:
        raise ValueError('secret')
    except ValueError:
        start_response('503 Sorry', [PLAIN], sys.exc_info())
    return [b'secret']


@answer
def input_methods(environ, start_response):
    stream = environ['wsgi.input']
    assert stream.read(0) == b''
    assert stream.read(1) == b''
    assert stream.readline() == b''
    assert stream.readlines() == []
    assert list(stream) == []
    environ['wsgi.errors'].flush()
    start_response('200 OK', [PLAIN])
    return [b'hello']


@answer
def mutates_environ(environ, start_response):
    assert environ.get('corpus.mutated') is None
    environ.update({'corpus.mutated': True, 'wsgi.version': None,
                    'SERVER_NAME': 'secret'})
    start_response('200 OK', [PLAIN])
    return [b'hello']


def raises(name: str, error: BaseException, starts: bool = False) -> None:
    """Register an answer that raises."""
    def do(environ: dict[str, Any], start_response: Callable) -> Any:
        if starts:
            start_response('200 OK', [PLAIN])
        raise error
    ANSWERS[name] = do


raises('raise', ValueError('secret'))
raises('raise-started', ValueError('secret'), starts=True)
raises('exit', SystemExit('secret'))
raises('interrupt', KeyboardInterrupt('secret'))
raises('generator-exit', GeneratorExit('secret'))


@answer
def no_start(environ, start_response):
    return [b'secret']


@answer
def none(environ, start_response):
    start_response('200 OK', [PLAIN])


@answer
def number(environ, start_response):
    start_response('200 OK', [PLAIN])
    return 5


@answer
def start_twice(environ, start_response):
    start_response('200 OK', [PLAIN])
    start_response('200 OK', [PLAIN])
    return [b'secret']


@answer
def headers_none(environ, start_response):
    start_response('200 OK', None)
    return [b'secret']
