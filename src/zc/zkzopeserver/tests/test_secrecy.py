"""What is nobody's business."""
import pytest

from zc.zkzopeserver.secrecy import MASK
from zc.zkzopeserver.secrecy import has_secret
from zc.zkzopeserver.secrecy import is_secret
from zc.zkzopeserver.secrecy import masked
from zc.zkzopeserver.secrecy import masked_text


@pytest.mark.parametrize('name', [
    'password', 'db_password', 'PASSWD', 'passphrase', 'secret',
    'session.secret', 'token', 'api_key', 'apikey_token', 'private-key',
    'signing.key', 'key', 'beaker.session.key', 'auth', 'proxy-auth',
    'aws_credentials'])
def test_names_of_secrets(name):
    assert masked(name, 'hunter2') == MASK


@pytest.mark.parametrize('name', [
    'zookeeper_key', 'zookeeper_auth_file', 'keyring', 'author', 'monkey',
    'path', 'keys_per_page'])
def test_names_that_are_not(name):
    assert masked(name, '/etc/x') == '/etc/x'


@pytest.mark.parametrize('value, shown', [
    ('postgres://me:pw@db/x', f'postgres://me:{MASK}@db/x'),
    ('redis://:p@ss@cache', f'redis://:{MASK}@cache'),
    ('https://example.org/a:b', 'https://example.org/a:b'),
    ("dbname=x password=pw host=db", f'dbname=x password={MASK} host=db'),
    ("password='a b' host=db", f'password={MASK} host=db'),
    ('Server=db;Pwd=pw;Encrypt=yes', f'Server=db;Pwd={MASK};Encrypt=yes'),
    ('http://x/?token=pw&a=b', f'http://x/?token={MASK}&a=b'),
    ('plain text', 'plain text'),
])
def test_credentials_in_values(value, shown):
    assert masked('dsn', value) == shown


def test_nothing_is_not_masked():
    assert masked('password', '') == ''


def test_what_holds_a_secret():
    assert is_secret('password', 'x') and not is_secret('password', '')
    assert is_secret('dsn', 'postgres://me:pw@db/x')
    assert has_secret({'a': '1', 'api_key': 'x'})
    assert not has_secret({'a': '1', 'zookeeper_key': '/etc/x'})


@pytest.mark.parametrize('text, shown', [
    ('user = me\npassword = pw', 'user = me\npassword = (gone)'),
    ('PASSWORD pw\nTZ UTC', 'PASSWORD (gone)\nTZ UTC'),
    # With all its lines, also when it begins on the second one.
    ('token = a\n    b\nc = d', 'token = (gone)\nc = d'),
    ('token =\n    a\n\n    b\nc = d', 'token =\n\nc = d'),
    ('  secret: x\n  y: z', '  secret: (gone)\n  y: z'),
    ('url = http://me:pw@x/', 'url = http://me:(gone)@x/'),
    ('dsn = dbname=x password=pw', 'dsn = dbname=x password=(gone)'),
    ('zookeeper_key = /etc/x.pem', 'zookeeper_key = /etc/x.pem'),
    ('[app:main]\nuse = egg:shop', '[app:main]\nuse = egg:shop'),
])
def test_texts(text, shown):
    assert masked_text(text, '(gone)') == shown
