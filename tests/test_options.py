"""The option table: parsing, refusing, reporting."""
import dataclasses
import types
from typing import get_args
from typing import get_origin
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.server.settings import LISTENING
from zope.server.settings import ROWS
from zope.server.settings import Settings
from zope.server.values import line
from zope.server.values import size

from zc.zkzopeserver import options
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.options import OptionsError
from zc.zkzopeserver.options import parse

MINIMAL = {'zookeeper': 'zookeeper.example.com:2181',
           'path': '/fooservice/providers'}


def parsed(**more):
    return parse({**MINIMAL, **more})


def problems(**more):
    with pytest.raises(OptionsError) as caught:
        parsed(**more)
    return caught.value.problems


def test_defaults():
    found = parse(MINIMAL)
    assert (found.host, found.port, found.threads) == ('', 0, 1)
    assert found.session_timeout == 10000
    assert found.session_timeout_s == 10
    assert found.monitor_server is None
    assert found.wait == 'fail'
    assert found.properties == {}


def test_an_empty_name_is_no_server_header():
    assert parsed(name='').name == ''


def test_every_default_of_the_table_is_what_its_text_parses_to():
    for option in options.TABLE:
        if option.is_required or option.default is None:
            continue
        shown = option.default_text.strip("'")
        if shown not in ('none', ''):
            assert option.parse(shown) == option.default, option.name


def test_every_limit_of_the_engine_is_an_option():
    settings = {field.name: field.default
                for field in dataclasses.fields(Settings)}
    # The first follows from `workers`, the other from the system.
    del settings['multiprocess'], settings['use_epoll']
    # Each server has its own name.
    assert settings.pop('name') == 'zope.server'
    assert options.BY_NAME['name'].default == 'zc.zkzopeserver'
    assert settings == {
        name: options.BY_NAME[name].default for name in settings}


def test_options_of_zope_server_are_its_own_rows():
    own = {**ROWS, **LISTENING}
    for name in set(own) & set(options.BY_NAME) - {'name'}:
        assert options.BY_NAME[name] is own[name]


def samples(option):
    """Texts that the option takes."""
    if option.default_text not in ('none', 'required', "''"):
        yield option.default_text
    for name, text, _ in GOOD:
        if name == option.name:
            yield text
    if option.parse is line:
        yield '/a/file'
    if option.parse is size:
        yield '1 GiB'


def test_the_attributes_of_options_have_the_types_of_the_table():
    hints = get_type_hints(Options)
    assert list(hints) == [option.name for option in options.TABLE]
    for option in options.TABLE:
        allowed = hints[option.name]
        texts = list(samples(option))
        assert texts, option.name
        values = [option.parse(text) for text in texts]
        if not option.is_required:
            values.append(option.default)
        for value in values:
            assert is_a(value, allowed), (option.name, value, allowed)


def is_a(value, allowed):
    """Whether a value is of a type, as annotations write it."""
    if isinstance(allowed, types.UnionType):
        return any(is_a(value, each) for each in get_args(allowed))
    return type(value) is (get_origin(allowed) or allowed)


GOOD = [
    ('zookeeper', 'a:1,b:2/root', 'a:1,b:2/root'),
    ('zookeeper', 'a:1, b:2', 'a:1,b:2'),
    ('zookeeper', '[::1]:2181', '[::1]:2181'),
    ('zookeeper', 'a:1/', 'a:1/'),
    ('path', '/a/b/../c', '/a/b/../c'),
    ('on_starting', 'a.b:c', ('a.b:c',)),
    ('when_registered', 'a.b:c.d, a_b:c', ('a.b:c.d', 'a_b:c')),
    ('on_stopping', 'my.group\n  a:b', ('my.group', 'a:b')),
    ('worker_exit', 'my-group', ('my-group',)),
    ('reload_files', 'a.txt, b/**/*.pt\n  c d', ('a.txt', 'b/**/*.pt', 'c d')),
    ('host', '::1', '::1'),
    ('host', '[::1]', '::1'),
    ('host', 'fe80::1%eth0', 'fe80::1%eth0'),
    ('host', ' www.example.com ', 'www.example.com'),
    ('port', '65535', 65535),
    ('session_timeout', '4000', 4000),
    ('metrics', ':0', ('', 0)),
    ('metrics', '[::1]:9101', ('::1', 9101)),
    ('node_format', 'nerve', 'nerve'),
    ('monitor_server', ':0', ('', 0)),
    ('monitor_server', '127.0.0.1:8080', ('127.0.0.1', 8080)),
    ('monitor_server', '[::1]:0', ('::1', 0)),
    ('monitor_server', './run/monitor.sock', './run/monitor.sock'),
    ('loggers', 'info', 'INFO'),
    ('loggers', '10', '10'),
    ('zservertracelog', 'Yes', True),
    ('zservertracelog', '0', False),
    ('advertise', 'www.example.com', 'www.example.com'),
    ('advertise', 'www.example.com:80', 'www.example.com:80'),
    ('advertise', '::1', '::1'),
    ('advertise', '[::1]:80', '[::1]:80'),
    ('advertise', 'interface:eth0', 'interface:eth0'),
    ('advertise', 'route', 'route'),
    ('properties', "a = 1\n# note\nb = {'c': [1.5, None]}\n",
     {'a': 1, 'b': {'c': [1.5, None]}}),
    ('wait', 'serve', 'serve'),
    ('ready', ' /up?deep=1', '/up?deep=1'),
    ('probe_host', ' www.example.com ', 'www.example.com'),
    ('probe_host', '[::1]:8080', '[::1]:8080'),
    ('probe_scheme', 'https', 'https'),
    ('trusted_proxy', ' 10.0.0.0/8, ::1', '10.0.0.0/8, ::1'),
    ('trusted_proxy', '', ''), ('trusted_proxy_headers', ' ', ''),
    ('url_scheme', 'https', 'https'),
    ('url_prefix', '/app/', '/app'),
    ('keep_registered', '0', (0, False)), ('keep_registered', '7', (7, False)),
    ('keep_registered', ' 50 % ', (50, True)),
    ('health', '/up?x=1', '/up?x=1'), ('hung_after', '0', 0.0),
    ('deregister_wait', '0', 0.0),
    ('graceful_timeout', '2.5', 2.5), ('switch_interval', '0.002', 0.002),
    ('max_request_body_size', '1 GiB', 2 ** 30),
    ('max_request_body_size', '64K', 65536),
    ('max_request_header_size', '65536', 65536),
]


@pytest.mark.parametrize('name, text, value', GOOD)
def test_good_values(name, text, value):
    assert getattr(parsed(**{name: text}), name) == value


@pytest.mark.parametrize('name, text', [
    ('zookeeper', 'a'), ('zookeeper', 'a:b'), ('zookeeper', 'a:1,'),
    ('zookeeper', ''), ('zookeeper', ':2181'),
    ('zookeeper', 'a:0'), ('zookeeper', 'a:1/x//y'),
    ('reload_files', ','), ('reload_files', 'a\0b'),
    ('on_starting', 'a:'), ('on_starting', ':a'), ('on_starting', 'a:1'),
    ('on_starting', 'a:b()'), ('on_starting', ''), ('on_starting', ','),
    ('path', 'fooservice'), ('path', ''), ('path', '/a//b'), ('path', '/a/'),
    ('path', '/a\0'), ('path', '/a\nb'),
    ('host', 'a b'), ('host', 'host:80'), ('host', '[1.2.3.4]'),
    ('host', '-x'),
    ('port', '-1'), ('port', '65536'), ('port', '8o'), ('port', '١'),
    ('port', ''), ('port', '1' * 5000),
    ('session_timeout', '10s'), ('session_timeout', '0'),
    ('threads', '0'), ('threads', '1001'), ('threads', '1.0'),
    ('metrics', '9101'), ('metrics', './metrics.sock'),
    ('node_format', 'json'),
    ('monitor_server', '8080'), ('monitor_server', '::1:80'),
    ('monitor_server', 'a:b'), ('monitor_server', 'a:99999'),
    ('loggers', 'LOUD'), ('loggers', ''),
    ('zservertracelog', 'maybe'), ('zservertracelog', ''),
    ('name', 'a\r\nX: y'), ('name', 'ä'),
    ('advertise', 'interface:'), ('advertise', 'a:b:c'),
    ('advertise', ':80'), ('advertise', 'host:0'), ('advertise', ''),
    ('properties', 'a'), ('properties', 'a = b'),
    ('properties', 'pid = 1'), ('properties', 'monitor = "x"'),
    ('properties', 'a = 1\na = 2'), ('properties', 'a = {1, 2}'),
    ('properties', 'a = 1e999'), ('properties', "a = __import__('os')"),
    ('properties', 'a = ' + '(' * 5000),
    ('wait', 'maybe'),
    ('ready', 'ready'), ('ready', '/a b'), ('ready', '/\r\nX: y'),
    ('trusted_proxy', '*'), ('trusted_proxy', '10.0.0.1/8'),
    ('trusted_proxy_headers', 'x-real-ip'), ('url_prefix', 'app'),
    ('probe_host', 'a b'), ('probe_host', 'http://a'), ('probe_host', ''),
    ('probe_host', 'a\r\nb: c'), ('probe_scheme', 'ftp'),
    ('ready_timeout', '0'), ('ready_timeout', '-1'),
    ('ready_timeout', 'inf'), ('ready_timeout', 'nan'),
    ('workers', '0'),
    ('keep_registered', '-1'), ('keep_registered', '101%'),
    ('keep_registered', '1.5'), ('keep_registered', '%'),
    ('health', 'up'), ('health_fall', '0'), ('health_interval', '0'),
    ('hung_after', '-1'),
    ('max_request_body_size', '0'), ('max_request_body_size', '1 XB'),
    ('max_request_body_size', '-1'),
    ('connection_limit', '0'), ('backlog', '0'),
])
def test_bad_values(name, text):
    assert len(problems(**{name: text})) == 1
    assert problems(**{name: text})[0].startswith(f"option '{name}': ")


def test_a_session_timeout_in_seconds_is_told_the_unit():
    assert problems(session_timeout='10') == [
        "option 'session_timeout': '10' is not a whole number of milliseconds"
        ' from 100 to 3600000']


def test_all_problems_together():
    with pytest.raises(OptionsError) as caught:
        parse({'path': 'x', 'port': 'y', 'pth': '/'}, 'web.ini')
    lines = str(caught.value).splitlines()
    assert lines == [
        "web.ini: unknown option 'pth' (did you mean 'path'?)",
        "web.ini: option 'zookeeper' is required: the ZooKeeper servers:"
        ' HOST:PORT[,HOST:PORT...][/CHROOT]',
        "web.ini: option 'path': 'x' is not an absolute path such as"
        ' /fooservice/providers',
        "web.ini: option 'port': 'y' is not a whole number from 0 to 65535",
    ]
    assert caught.value.exit_status == 2


def test_unknown_without_a_near_one_lists_what_is_known():
    problem, = problems(zzzzzzzz='1')
    assert 'known are access_log, advertise, backlog' in problem


def test_long_values_are_quoted_short():
    problem, = problems(port='9' * 10000)
    assert len(problem) < 200


def test_a_line_break_in_a_value_does_not_break_the_message():
    problem, = problems(wait='a\nb')
    assert '\n' not in problem


@pytest.mark.parametrize('more', [
    dict(workers='2', port='8080'),
    dict(workers='2', metrics='127.0.0.1:9'),
    dict(metrics=':0', properties='metrics = "a:1"'),
    dict(node_format='nerve', properties='host = "a"'),
    dict(node_format='serverset', properties='status = "ALIVE"'),
    dict(workers='2', monitor_server='127.0.0.1:9'),
    dict(workers='2', monitor_server='./monitor.sock'),
    dict(max_requests='9'), dict(max_memory='1G'),
    dict(workers='2', max_requests_jitter='9'),
    dict(proxy_protocol='true'), dict(trusted_proxy_count='1'),
    dict(trusted_proxy_headers='forwarded'),
    dict(zookeeper_cert='cert.pem'),
    dict(zookeeper_key='key.pem'),
])
def test_options_that_do_not_go_together(more):
    assert len(problems(**more)) == 1


def test_workers_with_ports_of_their_own():
    assert parsed(workers='2', monitor_server=':0').workers == 2
    assert parsed(workers='2', metrics=':0').workers == 2
    # As before there was the option: an application that has its own.
    assert parsed(properties='metrics = "a:1"').metrics is None


@given(st.sampled_from(options.TABLE), st.text(max_size=40))
def test_any_text_is_parsed_or_refused_with_a_sentence(option, text):
    values, found = options.check({**MINIMAL, option.name: text})
    assert found or option.name in values or not text.strip()
    assert all('\n' not in problem for problem in found)


def test_no_option_by_that_name():
    with pytest.raises(AttributeError, match="no option 'pth'"):
        getattr(parse(MINIMAL), 'pth')  # noqa: B009


@pytest.mark.parametrize('text, total, number', [
    ('1', 20, 1), ('50%', 20, 10), ('50%', 3, 2), ('0%', 20, 0),
    ('100%', 7, 7), ('1%', 1, 1), ('7', 3, 7)])
def test_how_many_are_kept(text, total, number):
    assert parsed(keep_registered=text).keep_registered.of(total) == number
