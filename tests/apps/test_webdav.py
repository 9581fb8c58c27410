"""WebDAV: WsgiDAV under litmus, and beside waitress."""
import re
import shutil
import subprocess

import pytest
from zkzopeserver_support import dav_site
from zkzopeserver_support.beside import ask
from zkzopeserver_support.beside import waitress_served
from zkzopeserver_support.beside import zope_served
from zkzopeserver_support.differences import unexplained
from zkzopeserver_support.requests import CHUNKED
from zkzopeserver_support.requests import chunked
from zkzopeserver_support.requests import noise
from zkzopeserver_support.requests import request

TARGET = 'Destination: http://example.org/{}\r\n'
XML = 'Content-Type: application/xml\r\n'
LOCK = (b'<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope>'
        b'<D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
        b'<D:owner>a</D:owner></D:lockinfo>')
PROPERTIES = (b'<?xml version="1.0"?><D:propertyupdate xmlns:D="DAV:"><D:set>'
              b'<D:prop><x xmlns="urn:a">\xe2\x98\x83</x></D:prop></D:set>'
              b'</D:propertyupdate>')

#: In this order, as each builds on what is there.
REQUESTS = {
    'options': request('OPTIONS /'),
    'mkcol': request('MKCOL /folder'),
    'put': request('PUT /folder/a', '', noise(200_000)),
    'put in chunks': request('PUT /folder/b', CHUNKED, chunked(
        noise(3_000_000), 100_000), length=False),
    'put of nothing': request('PUT /folder/c', 'Content-Length: 0\r\n'),
    'propfind': request('PROPFIND /folder/a', 'Depth: 0\r\n'),
    'proppatch': request('PROPPATCH /folder/a', XML, PROPERTIES),
    'get': request('GET /folder/b'),
    'range': request('GET /folder/b', 'Range: bytes=100-199\r\n'),
    'head': request('HEAD /folder/b'),
    'copy': request('COPY /folder/a', TARGET.format('folder/copy')),
    'move': request('MOVE /folder/copy', TARGET.format('folder/moved')),
    'lock': request('LOCK /folder/a', XML + 'Timeout: Second-60\r\n', LOCK),
    'put of what is locked': request('PUT /folder/a', '', b'x'),
    'delete': request('DELETE /folder/moved'),
    'not there': request('PROPFIND /folder/moved', 'Depth: 0\r\n'),
    'unknown method': request('VERSION-CONTROL /folder/a'),
}

# What differs between two shares: tokens, times, inodes in ETags, ports.
OWN = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|"[^"]*-[^"]*"'
                 r'|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|[\d-]{10}T[\d:]+Z'
                 r'|[\d-]{10} [\d:]{8}\.\d+|opaquelocktoken:[\w-]+'
                 r'|quota-\w+-bytes>\d+|\d{5,}-\d+-\d+')


def masked(answer):
    """Return an answer without what differs between two shares.

    A length stays that of the body: tokens are not all of one length.
    """
    body = OWN.sub('*', answer.body.decode('latin-1')).encode('latin-1')
    lengths = {str(len(answer.body)): str(len(body))} if body else {}
    return answer._replace(body=body, headers=tuple(
        (name, lengths.get(value, value) if name == 'content-length'
         else OWN.sub('*', value)) for name, value in answer.headers))


def test_the_answers_are_those_of_waitress(tmp_path):
    found = []
    for served in zope_served, waitress_served:
        folder = tmp_path / served.__name__
        folder.mkdir()
        with served(dav_site.make_application(folder)) as address:
            found.append([masked(ask(address, each))
                          for each in REQUESTS.values()])
        assert (folder / 'folder' / 'b').read_bytes() == noise(3_000_000)
    for name, here, waitress in zip(REQUESTS, *found, strict=True):
        assert unexplained(here, waitress) == [], name
    assert [here.status.split()[1] for here in found[0]] == [
        '200', '201', '201', '201', '201', '207', '207', '200', '206', '200',
        '201', '201', '200', '423', '204', '404', '405']


@pytest.mark.skipif(shutil.which('litmus') is None,
                    reason="litmus is not installed: Debian has it")
def test_litmus(tmp_path):
    """Its 104 tests, `http` with Expect: 100-continue among them."""
    share = tmp_path / 'share'
    share.mkdir()
    with zope_served(dav_site.make_application(share)) as (host, port):
        done = subprocess.run(
            ['litmus', '-k', f'http://{host}:{port}/'], cwd=tmp_path,
            capture_output=True, text=True, timeout=120)
    failed = [line for line in done.stdout.splitlines() if 'FAIL' in line]
    assert failed == [] and done.returncode == 0, done.stdout
    counts = re.findall(r'of (\d+) tests run: (\d+) passed', done.stdout)
    assert counts and all(run == passed for run, passed in counts)
    assert sum(int(run) for run, _ in counts) > 100
