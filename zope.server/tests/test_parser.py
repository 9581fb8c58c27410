"""Where requests end: generated requests, and a second parser's opinion."""
from __future__ import annotations

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from zope.server import request
from zope.server.chunked import ChunkedParser
from zope.server.errors import HTTPError
from zope.server.parser import END
from zope.server.parser import HeadChecker
from zope.server.settings import Settings
from zope_server_support.corpus import CASES
from zope_server_support.second_opinion import by_h11
from zope_server_support.second_opinion import by_receiver
from zope_server_support.second_opinion import disagreement
from zope_server_support.second_opinion import split_difference

TOKENS = st.text('abcABC-_019', min_size=1, max_size=8).map(str.encode)
VALUES = st.text('abc ,;:="\t\xe9()', max_size=12).map(
    lambda text: text.encode('latin-1'))
FRAMING = st.sampled_from([
    b'Content-Length: 0', b'Content-Length: 5', b'content-length:5',
    b'Content-Length: 05', b'Content-Length: +5', b'Content-Length: 5, 5',
    b'Content-Length: 7', b'Content-Length : 5', b'Content_Length: 5',
    b'Transfer-Encoding: chunked', b'Transfer-Encoding: Chunked ',
    b'Transfer-Encoding: gzip, chunked', b'Transfer-Encoding: identity',
    b'Transfer-Encoding:\x0bchunked', b'Transfer-Encoding: chunked, chunked',
    b'Connection: close', b'Connection: keep-alive', b'Connection: Upgrade',
    b'Upgrade: h2c', b'Expect: 100-continue', b'Host: b.example',
])
FIELDS = st.one_of(
    FRAMING, FRAMING, st.tuples(TOKENS, VALUES).map(b': '.join))
ENDS = st.sampled_from([b'\r\n'] * 12 + [b'\n', b'\r', b'\r\r\n', b'\n\r\n'])
CHUNKS = st.sampled_from([
    b'5\r\nhello\r\n0\r\n\r\n', b'0\r\n\r\n', b'hello', b'hello!!',
    b'5;a=b\r\nhello\r\n0;c\r\n\r\n', b'5\r\nhello\r\n0\r\nX: y\r\n\r\n',
    b'05\r\nhello\r\n2\r\n\r\n\r\n0\r\n\r\n', b'5\nhello\n0\n\n',
    b'5 ; a ; b = c\r\nhello\r\n0 ;a="b"\r\n\r\n',
    b'5;\r\nhello\r\n0\r\n\r\n',
    b'5 \r\nhello\r\n0\r\n\r\n', b'0x5\r\nhello\r\n0\r\n\r\n', b'',
])


@pytest.mark.parametrize('line, target', [
    ('GET /a?b HTTP/1.1', '/a?b'), ('OPTIONS * HTTP/1.0', '*'), ('', '')])
def test_the_target_is_that_of_the_line(line: str, target: str) -> None:
    """Which an object that other code has made may not have."""
    assert request.Request({}, 'GET', 1, line).target == target


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Generate something like a request."""
    method = draw(st.sampled_from([b'GET', b'POST', b'HEAD', b'PUT',
                                   b'OPTIONS', b'CONNECT', b'get', b'FOO']))
    target = draw(st.sampled_from([b'/', b'/a?b', b'*', b'http://a.example/',
                                   b'//a', b'/%41', b'/#', b'a:80', b'/\xe9',
                                   b'/\x7f']))
    version = draw(st.sampled_from([b'HTTP/1.1'] * 6 + [
        b'HTTP/1.0', b'HTTP/1.2', b'HTTP/2.0', b'http/1.1', b'']))
    lines = [b' '.join([method, target, version]), b'Host: a.example',
             *draw(st.lists(FIELDS, max_size=4)), b'']
    return b''.join(line + draw(ENDS) for line in lines) + draw(CHUNKS)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Generate some requests, with a byte or two changed."""
    data = b''.join(draw(st.lists(requests(), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 2))
        new = draw(st.sampled_from([
            b'', b'\r', b'\n', b'\r\n', b' ', b'\t', b'\0', b':', b';', b'0',
            b'\x0b', b'\xa0', b'-', b'+', b'_', b'5']))
        data = data[:place] + new + data[place + gone:]
    return data


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return the pieces between these places."""
    edges = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip(
        [0, *edges], [*edges, len(data)], strict=True)]


@settings(max_examples=6 * settings.default.max_examples)
@given(streams(), st.lists(st.integers(0, 1000), max_size=5))
@example(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n' * 2, [3])
def test_h11_agrees(data: bytes, places: list[int]) -> None:
    assert disagreement(data, cut(data, places)) == ''


@settings(max_examples=2 * settings.default.max_examples)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=3))
def test_any_bytes(data: bytes, places: list[int]) -> None:
    assert disagreement(data, cut(data, places)) == ''


def test_the_corpus_by_h11_and_in_pieces() -> None:
    for case in CASES:
        data = b''.join(case.send)
        if len(data) < 10_000:
            step = max(1, len(data) // 40)
            pieces = [data[start:start + step]
                      for start in range(0, len(data), step)]
            assert disagreement(data, pieces) == '', case.name


def test_the_opinions_differ_where_they_should() -> None:
    # Without this the comparison could not fail.
    data = b'GET / HTTP/1.1\nHost: a\n\n'
    assert by_h11(data).requests
    assert not by_receiver([data]).requests
    good = b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'
    assert by_h11(good) == by_receiver([good])
    assert by_receiver([good]).requests == (('POST', '/', b'hello'),)


# Heads with what makes parsers disagree about fields.
NAMES = st.one_of(
    st.sampled_from([b'Host', b'Cookie', b'Accept', b'Content-Length',
                     b'content-type', b'Transfer-Encoding', b'Proxy', b'X_A',
                     b'X-A', b'', b' X-A', b'X-A ', b'X\xe9', b'X\0']),
    st.binary(max_size=4))
ODD_VALUES = st.one_of(
    st.sampled_from([b'a', b'5', b'chunked', b'a:b', b': a', b'"a, b"', b'',
                     b'\xa0a\xa0', b'\x85', b'\x0ba\x0c', b'\x1c', b'a\0b']),
    st.binary(max_size=6))
BLANKS = st.sampled_from([b'', b' ', b'\t', b' \t ', b'\r', b'\n', b'\r\n ',
                          b'\r\n\t', b'\x0b', b'\0'])
# Most of a head must be well-formed, or none would be taken.
WELL = st.tuples(TOKENS, st.sampled_from([b':', b': ', b':\t ']), VALUES,
                 st.sampled_from([b'\r\n', b' \r\n', b'\t\r\n']))
ODD = st.tuples(NAMES, BLANKS, st.sampled_from([b':', b'::', b'', b';']),
                BLANKS, ODD_VALUES, BLANKS, ENDS)
LINES = st.sampled_from([
    b'GET / HTTP/1.1\r\n', b'POST /a?b:c HTTP/1.0\r\n',
    b'FOO /%41 HTTP/1.1\r\n', b'GET http://a.example/ HTTP/1.1\r\n',
    b'OPTIONS * HTTP/1.7\r\n', b'GET  / HTTP/1.1\r\n',
    b'GET /\t HTTP/1.1\r\n', b'GET / HTTP/1.1\n'])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Generate a head of good fields, most often with an odd one."""
    fields = draw(st.lists(WELL.map(b''.join), max_size=3))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(fields)))
        fields.insert(place, b''.join(draw(ODD)))
    return b''.join([draw(LINES), b'Host: a.example\r\n', *fields, b'\r\n'])


@settings(max_examples=20 * settings.default.max_examples)
@given(heads())
@example(b'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n')
@example(b'GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n')
@example(b'GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n')
@example(b'GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n')
@example(b'GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n')
@example(b'GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n')
@example(b'GET / HTTP/1.1\r\nHost: a\r\nX:\t\xa0a\x85 \t\r\nX:a:b\r\n\r\n')
@example(b'GET / HTTP/1.1\r\nHost: a\r\ncookie: a\r\nCookie: b\r\n\r\n')
def test_heads_are_split_as_llhttp_would(head: bytes) -> None:
    # Beyond its first empty line is no head.
    assert split_difference(head.partition(END)[0] + END) == ''


@pytest.mark.parametrize('field', [
    b'X: a\r\n b', b'X: a\nY: b', b'X: a\rY: b', b'X : a', b'X', b': a',
    b'X: \0', b'X: \x0b', b'X\xe9: a', b' X: a', b'X\t: a', b'X:\r a',
    b'Content-Length: 5\r\nContent-Length: 5', b'Host: b'])
def test_fields_that_could_be_split_in_two_ways_are_refused(
        field: bytes) -> None:
    head = b'POST / HTTP/1.1\r\nHost: a\r\nA: b\r\n' + field + END
    assert by_receiver([head]).refusal == 400


@pytest.mark.parametrize('line', ['X: a\nY: b', 'X: a\r', '\nX: a'])
def test_lines_with_an_ending_in_them_are_refused(line: str) -> None:
    # Whatever llhttp says of the head.
    head = b'GET / HTTP/1.1\r\nX: a\r\n\r\n'
    HeadChecker().check(head, ['GET / HTTP/1.1', 'X: a'])
    with pytest.raises(HTTPError):
        HeadChecker().check(head, ['GET / HTTP/1.1', line])


def test_a_split_that_differs_is_found(
        monkeypatch: pytest.MonkeyPatch) -> None:
    # Without this the comparison could not fail: as if `Accept` was read as
    # another field.
    head = b'GET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n'
    assert split_difference(head) == ''
    monkeypatch.setitem(request.keys, 'Accept', 'HTTP_EXPECT_NOT')
    assert 'HTTP_EXPECT_NOT' in split_difference(head)


# Parts of the end of a chunked body.
ENDINGS = st.lists(st.sampled_from([
    b'0', b'00', b'\r', b'\n', b'\r\n', b'\r\n\r\n', b'0\r\n\r\n',
    b'\n0\r\n', b'0;a', b'a', b'a: b\r\n']), min_size=1).map(b''.join)
TRAILERS = st.sampled_from([b'', b'0: 0\r\n', b'a: b\r\n0a: b\r\n'])
LAST_SIZES = st.sampled_from([b'0', b'000', b'0;a', b'0;a="0"'])


@settings(max_examples=6 * settings.default.max_examples)
@given(st.lists(ENDINGS, max_size=4), LAST_SIZES, TRAILERS, ENDINGS,
       st.lists(st.integers(0, 200), max_size=6))
@example([b'\r\n\r\n' * 9 + b'\n0\r\n\r\n'], b'0', b'', b'\r\n\r\n', [])
def test_data_that_looks_like_the_end_is_not(
        chunks: list[bytes], last: bytes, trailers: bytes, rest: bytes,
        places: list[int]) -> None:
    body = b''.join(
        b'%x\r\n%s\r\n' % (len(chunk), chunk) for chunk in chunks)
    body += last + b'\r\n' + trailers + b'\r\n'
    written: list[bytes] = []
    parser = ChunkedParser(written.append, Settings())
    taken = 0
    for piece in cut(body + rest, places):
        if parser.is_complete:
            break
        taken += parser.feed(piece)
    assert parser.is_complete
    assert taken == len(body)
    assert b''.join(written) == b''.join(chunks)


def test_data_full_of_empty_lines_is_parsed_at_once() -> None:
    written: list[bytes] = []
    parser = ChunkedParser(written.append, Settings())
    parser.feed(b'10000\r\n')
    parser.feed(b'\r\n\r\n' * 10_000)
    assert written == [b'\r\n\r\n' * 10_000]
