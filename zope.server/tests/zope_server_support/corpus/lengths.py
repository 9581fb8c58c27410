"""Cases of bodies of declared length, and of what looks like a length."""
from __future__ import annotations

from zope_server_support.corpus.case import CLOSED
from zope_server_support.corpus.case import NEXT
from zope_server_support.corpus.case import SMUGGLED
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import bad
from zope_server_support.corpus.case import get
from zope_server_support.corpus.case import good
from zope_server_support.corpus.case import post


def broken(name: str, *fields: bytes, status: int = 400) -> Case:
    """Return a case in which these fields are refused, whatever follows."""
    lines = b''.join(field + b'\r\n' for field in fields)
    return bad(f'length {name}', post(lines, b'hello' + SMUGGLED), status,
               lacks=(b'smuggled',), severe=True)


CASES = (
    good('length 5', post(b'Content-Length: 5\r\n', b'hello'),
         'POST / hello', environ={'CONTENT_LENGTH': '5',
                                  'HTTP_CONTENT_LENGTH': None,
                                  'wsgi.input_terminated': True}),
    good('length in lower case', post(b'content-length: 5\r\n', b'hello'),
         'POST / hello', environ={'CONTENT_LENGTH': '5'}),
    good('length 0', post(b'Content-Length: 0\r\n'), 'POST /'),
    good('length missing', post(), 'POST /'),
    good('length with zeros before', post(b'Content-Length: 0005\r\n',
                                          b'hello'), 'POST / hello'),
    good('length with blanks around', post(b'Content-Length: \t5 \t\r\n',
                                           b'hello'), 'POST / hello'),
    good('length in pieces', (post(b'Content-Length: 5\r\n'), b'he', b'll',
                              b'o'), 'POST / hello'),
    good('length with the next request behind',
         post(b'Content-Length: 5\r\n', b'hello') + NEXT, 'POST / hello',
         'GET /next'),
    good('length with the next request in the last piece',
         (post(b'Content-Length: 5\r\n', b'hel'), b'lo' + NEXT),
         'POST / hello', 'GET /next'),
    good('length of a body that looks like a request',
         post(b'Content-Length: %d\r\n' % len(SMUGGLED), SMUGGLED) + NEXT,
         'POST / ' + SMUGGLED.decode(), 'GET /next'),
    good('length with GET', get(b'Content-Length: 5\r\n') + b'hello',
         'GET / hello'),
    good('length with HTTP/1.0',
         b'POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello',
         'POST / hello', ends=CLOSED),
    good('length with Upgrade',
         post(b'Content-Length: 5\r\nConnection: upgrade\r\n'
              b'Upgrade: h2c\r\n', b'hello') + NEXT,
         'POST / hello', 'GET /next'),
    good('length with an underscore is none',
         post(b'Content_Length: 5\r\n') + NEXT, 'POST /', 'GET /next',
         severe=True),
    good('length with an underscore beside the true one',
         post(b'Content_Length: 0\r\nContent-Length: 5\r\n', b'hello')
         + NEXT, 'POST / hello', 'GET /next', severe=True),
    good('length of a big body', post(
        b'Content-Length: 300000\r\n', b'x' * 300000), 'POST / '
        + 'x' * 300000),
    good('length with as many zeros as there may be',
         post(b'Content-Length: ' + b'0' * 19 + b'5\r\n', b'hello'),
         'POST / hello'),
    broken('with more zeros than there may be',
           b'Content-Length: ' + b'0' * 20 + b'5'),
    broken('twice', b'Content-Length: 5', b'Content-Length: 6'),
    broken('twice the same', b'Content-Length: 5', b'Content-Length: 5'),
    broken('twice in one field', b'Content-Length: 5, 5'),
    broken('twice in one field, other', b'Content-Length: 5, 6'),
    broken('with a sign', b'Content-Length: +5'),
    broken('negative', b'Content-Length: -5'),
    broken('minus zero', b'Content-Length: -0'),
    broken('hexadecimal', b'Content-Length: 0x5'),
    broken('with an underscore within', b'Content-Length: 1_0'),
    broken('with a fraction', b'Content-Length: 5.0'),
    broken('with an exponent', b'Content-Length: 5e0'),
    broken('with a letter behind', b'Content-Length: 5b'),
    broken('with a space within', b'Content-Length: 5 5'),
    broken('empty', b'Content-Length:'),
    broken('of blanks', b'Content-Length:  '),
    broken('in words', b'Content-Length: five'),
    broken('quoted', b'Content-Length: "5"'),
    broken('with a vertical tab before', b'Content-Length:\x0b5'),
    broken('with a form feed behind', b'Content-Length: 5\x0c'),
    broken('in superscript', b'Content-Length: \xb2'),
    broken('with a no-break space', b'Content-Length: \xa05'),
    broken('of many digits', b'Content-Length: ' + b'9' * 30),
    broken('of 2 ** 64 + 5', b'Content-Length: 18446744073709551621'),
    broken('beyond the limit', b'Content-Length: 2000001', status=413),
    broken('and chunked', b'Content-Length: 5',
           b'Transfer-Encoding: chunked'),
    broken('behind chunked', b'Transfer-Encoding: chunked',
           b'Content-Length: 5'),
    broken('0 and chunked', b'Content-Length: 0',
           b'Transfer-Encoding: chunked'),
    broken('and an unknown coding', b'Content-Length: 5',
           b'Transfer-Encoding: identity'),
)
