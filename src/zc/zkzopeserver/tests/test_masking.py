import pytest

from zc.zkzopeserver.control.masking import MASK
from zc.zkzopeserver.control.masking import masked


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
