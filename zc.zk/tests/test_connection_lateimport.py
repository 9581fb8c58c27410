"""kazoo is imported without OpenSSL and uuid, and finds them when needed."""
import subprocess
import sys

import pytest

BEGIN = 'import sys; import zc.zk; import kazoo.protocol.connection as used; '


def run(code):
    """Run `code` in a process of its own; fail where it raises."""
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60,
                   env={'PYTHONPATH': ':'.join(sys.path)})


@pytest.mark.parametrize('code', [
    "assert not {'ssl', '_ssl', 'hashlib', '_hashlib', 'uuid'}"
    ' & set(sys.modules)',
    'import kazoo.client; lock = kazoo.client.KazooClient().Lock("/a");'
    ' assert len(lock.prefix) > 32; import uuid;'
    ' assert sys.modules["uuid"] is uuid',
    # What an `except` clause does after a plain connection has failed.
    "assert issubclass(used.ssl.SSLError, Exception);"
    " assert 'ssl' not in sys.modules",
    'import ssl; assert used.ssl.SSLError is ssl.SSLError;'
    ' assert ssl.SSLContext is used.ssl.SSLContext',
    # For kazoo itself.
    'context = used.ssl.SSLContext(used.ssl.PROTOCOL_TLS_CLIENT); import ssl;'
    ' assert isinstance(context, ssl.SSLContext);'
    ' assert used.ssl.SSLError is ssl.SSLError',
    # ZooKeeper's digest scheme: SHA-1 of USER:PASSWORD in base64.
    'import kazoo.security as security;'
    " assert security.make_digest_acl_credential('super', 'test') == ("
    "'super:D/InIHSb7yEEbrWz8b9l71RjZJU=')",
])
def test_openssl_is_imported_when_it_is_used(code):
    run(BEGIN + code)


def test_modules_that_are_there_are_left_as_they_are():
    run('import ssl, hashlib; ' + BEGIN
        + 'assert used.ssl is ssl is sys.modules["ssl"];'
          ' assert sys.modules["hashlib"] is hashlib')
