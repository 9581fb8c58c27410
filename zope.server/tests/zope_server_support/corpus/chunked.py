"""Cases of chunked bodies and transfer codings."""
from __future__ import annotations

from zope_server_support.corpus.case import NEXT
from zope_server_support.corpus.case import SMUGGLED
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.case import bad
from zope_server_support.corpus.case import good
from zope_server_support.corpus.case import in_chunks
from zope_server_support.corpus.case import post

HELLO = b'5\r\nhello\r\n0\r\n\r\n'


def found(name: str, chunks: bytes, body: str = 'hello') -> Case:
    """Return a case in which this body arrives, and then a request."""
    return good(f'chunks {name}', in_chunks(chunks) + NEXT,
                f'POST / {body}' if body else 'POST /', 'GET /next')


def broken(name: str, chunks: bytes, status: int = 400) -> Case:
    """Return a case in which the body is refused, whatever follows."""
    return bad(f'chunks {name}', in_chunks(chunks + SMUGGLED), status,
               lacks=(b'smuggled',), severe=True)


def coding(name: str, *values: bytes, status: int = 400) -> Case:
    """Return a case in which the transfer codings are refused."""
    lines = b''.join(b'Transfer-Encoding:%b\r\n' % value for value in values)
    return bad(f'coding {name}', post(lines, HELLO + SMUGGLED), status,
               lacks=(b'smuggled',), severe=True)


CASES = (
    good('chunked', in_chunks(HELLO), 'POST / hello',
         environ={'CONTENT_LENGTH': '5', 'HTTP_TRANSFER_ENCODING': None}),
    found('two', b'2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'),
    found('none', b'0\r\n\r\n', ''),
    found('in hexadecimal', b'a\r\n0123456789\r\n0\r\n\r\n', '0123456789'),
    found('in capital hexadecimal', b'A\r\n0123456789\r\n0\r\n\r\n',
          '0123456789'),
    found('with zeros before', b'0005\r\nhello\r\n000\r\n\r\n'),
    found('with empty lines in the data', b'8\r\n\r\n\r\nabcd\r\n0\r\n\r\n',
          '\r\n\r\nabcd'),
    found('that hold what looks like the end',
          b'c\r\n0\r\n\r\n0\r\n\r\nab\r\n0\r\n\r\n', '0\r\n\r\n0\r\n\r\nab'),
    found('of line ends', b'7\r\n\r\n\r\n\r\n\r\r\n0\r\n\r\n',
          '\r\n\r\n\r\n\r'),
    found('with an extension', b'5;a=b\r\nhello\r\n0\r\n\r\n'),
    found('with an extension without a value',
          b'5;a\r\nhello\r\n0;b\r\n\r\n'),
    found('with a quoted extension', b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    found('with spaces in extensions',
          b'5; a; b=c\r\nhello\r\n0; d\r\n\r\n'),
    found('with blanks around all of an extension',
          b'5 \t;\ta = "b" ;c\t=d\r\nhello\r\n0\r\n\r\n'),
    found('with a tab before the extension',
          b'5\t;a=b\r\nhello\r\n0\r\n\r\n'),
    found('with an escape in a quoted extension',
          b'5;a="b\\"c"\r\nhello\r\n0\r\n\r\n'),
    found('with a trailer', b'5\r\nhello\r\n0\r\nX-Foo: a\r\n\r\n'),
    found('with trailers', b'5\r\nhello\r\n0\r\nX-Foo: a\r\nX-Bar: b\r\n'
          b'\r\n'),
    good('chunks with a trailer that poses as a header',
         in_chunks(b'5\r\nhello\r\n0\r\nX-Remote-User: admin\r\n\r\n')
         + NEXT, 'POST / hello', 'GET /next', severe=True,
         environ={'HTTP_X_REMOTE_USER': None}),
    good('chunks, a byte at a time',
         tuple(bytes([byte]) for byte in in_chunks(HELLO)) + (NEXT,),
         'POST / hello', 'GET /next'),
    good('chunks cut within the last line ends',
         (in_chunks(b'5\r\nhello\r\n0\r'), b'\n\r', b'\n' + NEXT),
         'POST / hello', 'GET /next'),
    good('chunks with Upgrade', post(
        b'Transfer-Encoding: chunked\r\nConnection: upgrade\r\n'
        b'Upgrade: h2c\r\n', HELLO) + NEXT, 'POST / hello', 'GET /next'),
    good('chunks twice', in_chunks(HELLO) + in_chunks(HELLO) + NEXT,
         'POST / hello', 'POST / hello', 'GET /next'),
    good('coding in capitals', post(b'Transfer-Encoding: CHUNKED\r\n', HELLO),
         'POST / hello'),
    broken('with LF behind the size', b'5\nhello\r\n0\r\n\r\n'),
    broken('with LF behind the data', b'5\r\nhello\n0\r\n\r\n'),
    broken('with CR behind the size', b'5\rhello\r\n0\r\n\r\n'),
    broken('with nothing behind the data', b'5\r\nhello0\r\n\r\n'),
    broken('with other bytes behind the data', b'5\r\nhelloxx0\r\n\r\n'),
    broken('longer than said', b'4\r\nhello\r\n0\r\n\r\n'),
    broken('with LF LF at the end', b'5\r\nhello\r\n0\n\n'),
    broken('with CR LF LF at the end', b'5\r\nhello\r\n0\r\n\n'),
    broken('with a sign', b'+5\r\nhello\r\n0\r\n\r\n'),
    broken('negative', b'-5\r\nhello\r\n0\r\n\r\n'),
    broken('with 0x', b'0x5\r\nhello\r\n0\r\n\r\n'),
    broken('with an underscore', b'0_5\r\nhello\r\n0\r\n\r\n'),
    broken('with a space behind the size', b'5 \r\nhello\r\n0\r\n\r\n'),
    broken('with a space before the size', b' 5\r\nhello\r\n0\r\n\r\n'),
    broken('with a space behind the extension',
           b'5;a \r\nhello\r\n0\r\n\r\n'),
    broken('with an extension without an end',
           b'5;a="b\r\nhello\r\n0\r\n\r\n'),
    broken('with a vertical tab in the extension',
           b'5;\x0ba\r\nhello\r\n0\r\n\r\n'),
    broken('with an extension behind a value',
           b'5;a=b c\r\nhello\r\n0\r\n\r\n'),
    bad('chunks without a size or a line end', in_chunks(b'hello')),
    bad('chunks with LF behind the size, and nothing more',
        in_chunks(b'5\nhello'), severe=True),
    bad('chunks with CR behind the size, and nothing more',
        in_chunks(b'5\rhello'), severe=True),
    bad('chunks with CR behind a trailer, and nothing more',
        in_chunks(b'0\r\nX: a\r\rb'), severe=True),
    broken('without a size', b'\r\nhello\r\n0\r\n\r\n'),
    broken('with an empty size', b';a=b\r\nhello\r\n0\r\n\r\n'),
    broken('not hexadecimal', b'g\r\nhello\r\n0\r\n\r\n'),
    broken('of 2 ** 64 bytes', b'10000000000000000\r\nhello\r\n0\r\n\r\n'),
    broken('with a size of 30 digits', b'f' * 30 + b'\r\nhello\r\n'),
    broken('with LF in the extension', b'5;a\nb\r\nhello\r\n0\r\n\r\n'),
    broken('with CR in the extension', b'5;a\rb\r\nhello\r\n0\r\n\r\n'),
    broken('with NUL in the extension', b'5;a\0b\r\nhello\r\n0\r\n\r\n'),
    broken('with LF in a quoted extension',
           b'5;a="\n"\r\nhello\r\n0\r\n\r\n'),
    broken('with an empty extension', b'5;\r\nhello\r\n0\r\n\r\n'),
    broken('with a comma behind the size', b'5,5\r\nhello\r\n0\r\n\r\n'),
    broken('with a malformed trailer', b'5\r\nhello\r\n0\r\nX Foo: a\r\n\r\n'),
    broken('with a folded trailer',
           b'5\r\nhello\r\n0\r\nX-Foo: a\r\n b\r\n\r\n'),
    broken('with LF in the trailers',
           b'5\r\nhello\r\n0\r\nX-Foo: a\n\r\n'),
    broken('with a length as trailer',
           b'5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n'),
    broken('with a coding as trailer',
           b'5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'),
    coding('twice in one field', b' chunked, chunked'),
    coding('twice', b' chunked', b' chunked'),
    coding('unknown', b' gzip'),
    coding('identity', b' identity'),
    coding('gzip before', b' gzip, chunked', status=501),
    coding('gzip behind', b' chunked, gzip'),
    coding('empty', b''),
    coding('with a prefix', b' xchunked'),
    coding('with a suffix', b' chunkedx'),
    coding('with a parameter', b' chunked;q=1'),
    coding('quoted', b' "chunked"'),
    coding('with a comma before', b' ,chunked', status=501),
    coding('with a vertical tab', b'\x0bchunked'),
    coding('with NUL', b' chunked\0'),
    bad('coding with a space before the colon',
        post(b'Transfer-Encoding : chunked\r\n', HELLO + SMUGGLED),
        lacks=(b'smuggled',), severe=True),
    bad('coding folded', post(b'Transfer-Encoding:\r\n chunked\r\n',
                              HELLO + SMUGGLED),
        lacks=(b'smuggled',), severe=True),
    bad('coding in HTTP/1.0',
        b'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n' + HELLO
        + SMUGGLED, lacks=(b'smuggled',), severe=True),
    good('coding with an underscore is none',
         post(b'Transfer_Encoding: chunked\r\n') + NEXT, 'POST /',
         'GET /next', severe=True),
)
