"""Secrets in option values and in texts of lines."""
import subprocess
import sys

import pytest
from zc.zk.redaction import MASK
from zc.zk.redaction import has_secret
from zc.zk.redaction import is_secret
from zc.zk.redaction import mentions_secret
from zc.zk.redaction import redact
from zc.zk.redaction import redact_text
from zc.zk.redaction import redact_value


@pytest.mark.parametrize('name', [
    'password', 'db_password', 'PASSWD', 'passphrase', 'secret',
    'session.secret', 'token', 'api_key', 'apikey_token', 'private-key',
    'signing.key', 'key', 'beaker.session.key', 'auth', 'proxy-auth',
    'aws_credentials'])
def test_names_of_secrets(name):
    assert redact(name, 'hunter2') == MASK


@pytest.mark.parametrize('name', [
    'zookeeper_key', 'zookeeper_auth_file', 'keyring', 'author', 'monkey',
    'path', 'keys_per_page'])
def test_names_that_are_not(name):
    assert redact(name, '/etc/x') == '/etc/x'


@pytest.mark.parametrize('value, shown', [
    ('postgres://me:pw@db/x', f'postgres://me:{MASK}@db/x'),
    ('redis://:p@ss@cache', f'redis://:{MASK}@cache'),
    ('https://example.org/a:b', 'https://example.org/a:b'),
    ("dbname=x password=pw host=db", f'dbname=x password={MASK} host=db'),
    ("password='a b' host=db", f'password={MASK} host=db'),
    ('Server=db;Pwd=pw;Encrypt=yes', f'Server=db;Pwd={MASK};Encrypt=yes'),
    ('http://x/?token=pw&a=b', f'http://x/?token={MASK}&a=b'),
    ('plain text', 'plain text'),
    ('sslpassword=pw db_password=pw',
     f'sslpassword={MASK} db_password={MASK}'),
    ('dump --password=pw --token pw x',
     f'dump --password={MASK} --token {MASK} x'),
    ('password="a pw" host=db', f'password={MASK} host=db'),
    (r"password='it\'s pw' host=db", f'password={MASK} host=db'),
    (r"password='a''pw' host=db", f'password={MASK} host=db'),
    (r'password=a\ pw host=db', f'password={MASK} host=db'),
    ('password="never closed pw', f'password={MASK}'),
    ('password=a,pw host=db', f'password={MASK} host=db'),
    ('{"password": "pw"}', f'{{"password": {MASK}}}'),
    ("{'a': {'password': 'p\\'w', 'x': 1}}",
     f"{{'a': {{'password': {MASK}, 'x': 1}}}}"),
    ('{"tokens": ["a", "pw"]}', f'{{"tokens": {MASK}'),
    ('{user: me, password: pw, x: 1}',
     f'{{user: me, password: {MASK}, x: 1}}'),
    ('password: pw', f'password: {MASK}'),
    ('{"zookeeper_key": "/etc/x"}', '{"zookeeper_key": "/etc/x"}'),
    ('zk:2181,auth:2181', 'zk:2181,auth:2181'),
    ('<x>\n  password pw\n</x>', f'<x>\n  password {MASK}\n</x>'),
    # As the recipe writes what is indented.
    ('\n%(__empty__)s  token\n%(__empty__)s  password =\n'
     '%(__empty__)s    pw\n%(__empty__)s  x y',
     '\n%(__empty__)s  token\n%(__empty__)s  password =\n'
     '%(__empty__)s  x y'),
])
def test_credentials_in_values(value, shown):
    assert redact('dsn', value) == shown


def test_nothing_is_not_redacted():
    assert redact('password', '') == ''


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
    ('password =\n# of production\n    pw\nc = d',
     'password =\n# of production\nc = d'),
    ('a =\n  password =\n  ; that\n    pw\n  c = d',
     'a =\n  password =\n  ; that\n  c = d'),
    ('# password = a pw\n# password of x',
     '# password = (gone)\n# password of x'),
    ('set db_password = a pw', 'set db_password = (gone)'),
    ('export DB_PASSWORD="a pw"', 'export DB_PASSWORD=(gone)'),
    ('%define password a pw', '%define password (gone)'),
    ('db/password = a pw', 'db/password = (gone)'),
    ('- password: a pw', '- password: (gone)'),
    ('{\n  "password":\n    "pw",\n  "x": 1\n}',
     '{\n  "password":\n  "x": 1\n}'),
    ('  secret: x\n  y: z', '  secret: (gone)\n  y: z'),
    ('url = http://me:pw@x/', 'url = http://me:(gone)@x/'),
    ('dsn = dbname=x password=pw', 'dsn = dbname=x password=(gone)'),
    ('zookeeper_key = /etc/x.pem', 'zookeeper_key = /etc/x.pem'),
    ('[app:main]\nuse = egg:shop', '[app:main]\nuse = egg:shop'),
])
def test_texts(text, shown):
    assert redact_text(text, '(gone)') == shown


@pytest.mark.parametrize('piece', [
    '://a:', 'a=', 'password=', '"a":', '{ ', '--a ', "'", '@', ' ', 'a'])
def test_hostile_texts_take_time_in_proportion(piece):
    """With the square of the length, it would be many minutes."""
    subprocess.run(
        [sys.executable, '-c', 'import sys\n'
         'from zc.zk.redaction import redact\n'
         'text = sys.argv[1] * 500_000\n'
         'for text in text, text + "\\n":\n'
         '    redact("x", text)', piece],
        env={'PYTHONPATH': ':'.join(sys.path)}, timeout=200, check=True)


@pytest.mark.parametrize('name, value, shown', [
    ('title', 'The demo', 'The demo'),
    ('password', 'hunter2', MASK),
    ('password', 17, MASK),
    ('password', ['a'], MASK),
    ('password', None, None),
    ('password', True, True),
    ('threads', 4, 4),
    ('weight', 1.5, 1.5),
    ('dsn', 'postgres://cms:hunter2@db/cms', f'postgres://cms:{MASK}@db/cms'),
    ('hosts', ['a', 'b'], ['a', 'b']),
    ('options', {'a': {'b': [1]}}, {'a': {'b': [1]}}),
    ('urls', ['http://a:hunter2@x/'], f'["http://a:{MASK}'),
    ('options', {'token': 'hunter2', 'a': 1}, f'{{"token": {MASK}, "a": 1}}'),
])
def test_values_of_properties(name, value, shown):
    told = redact_value(name, value)
    if isinstance(value, list) and shown != value and shown != MASK:
        assert told.startswith(shown)
    else:
        assert told == shown
    assert 'hunter2' not in str(told)


@pytest.mark.parametrize('code, expected', [
    ("os.environ['API_TOKEN'] = 'abc'", True),
    ("os.putenv('DB_PASSWORD', 'abc')", True),
    ("connect('postgres://me:abc@db/x')", True),
    ("curl -H 'X-Auth-Token: abc' http://x/", True),
    ('import sys\nsys.dont_write_bytecode = True', False),
    ('bin/web restart', False),
    ('', False),
])
def test_code_that_mentions_a_secret(code, expected):
    assert mentions_secret(code) is expected
