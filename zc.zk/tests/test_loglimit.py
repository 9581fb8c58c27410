"""What strangers cause is logged, up to a limit."""
import json
import logging
import time

import pytest
from zc.zk import loglimit
from zc.zk.loglimit import LimitedLogger
from zc.zk.servers import Servers
from zc.zk.testing.waiting import wait_for

NAME = 'zc.zk.test'


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(loglimit, 'LINES', 3)


@pytest.fixture
def logger():
    return LimitedLogger(logging.getLogger(NAME))


def texts(caplog, name=NAME):
    return [record.getMessage() for record in caplog.records
            if record.name == name]


def test_each_message_has_a_limit(few, logger, caplog):
    caplog.set_level(logging.INFO)
    for number in range(10):
        logger.warning('a %d', number)
        logger.info('b %d', number)
    assert texts(caplog) == ['a 0', 'b 0', 'a 1', 'b 1', 'a 2', 'b 2']


def test_the_next_period_says_what_was_left_out(few, logger, caplog,
                                                monkeypatch):
    for number in range(10):
        logger.warning('a %d', number)
    monkeypatch.setattr(time, 'monotonic', lambda: 1e9)
    logger.warning('a %d', 10)
    logger.warning('a %d', 11)
    assert texts(caplog)[3:] == [
        "7 more lines of this kind were left out: 'a %d'", 'a 10', 'a 11']


def test_what_is_not_logged_does_not_count(few, logger, caplog):
    for level, expected in (logging.WARNING, []), (logging.INFO, ['a']):
        caplog.set_level(level)
        for _ in range(5):
            logger.info('a')
        assert texts(caplog) == 3 * expected


def test_debug_has_no_limit(few, logger, caplog):
    caplog.set_level(logging.DEBUG)
    for _ in range(5):
        logger.debug('a')
    assert texts(caplog) == 5 * ['a']


def test_place_and_traceback_are_those_of_the_caller(logger, caplog):
    try:
        raise ValueError('x')
    except ValueError:
        logger.exception('a')
    record, = caplog.records
    assert record.filename == 'test_loglimit.py'
    assert record.exc_info[0] is ValueError


def test_messages_without_end_take_no_memory(logger, monkeypatch):
    monkeypatch.setattr(loglimit, 'MAX_MESSAGES', 10)
    for number in range(100):
        logger.warning(f'a {number}')
    assert len(logger._periods) <= 10


def test_nodes_that_flap_do_not_fill_the_log(few, zookeeper, connect, caplog):
    """Names, data and links of a writer in the tree."""
    zk, writer = connect(), connect().client
    writer.ensure_path('/cms/providers')
    writer.create('/cms/providers/127.0.0.1:80', b'{')
    writer.create('/link')
    servers = Servers(zk, '/cms/providers')
    links = zk.properties('/link')
    zk.register('/cms/providers', '127.0.0.1:81')
    for number in range(20):
        writer.create(f'/cms/providers/evil{number}')
        writer.set('/cms/providers/127.0.0.1:80', b'{%d}' % number)
        writer.set('/link', json.dumps(
            {'x =>': f'/nowhere{number} y'}).encode())
        writer.delete('/cms/providers/127.0.0.1:81')
        wait_for(lambda number=number: f'evil{number}' in servers.refused, 30,
                 'the name')
        wait_for(lambda number=number: links.data.get('x =>')
                 == f'/nowhere{number} y', 30, 'the link')
        wait_for(lambda: writer.exists('/cms/providers/127.0.0.1:81'), 30,
                 'the registration')
    for name in ('zc.zk', 'zc.zk.servers', 'zc.zk.watch',
                 'zc.zk.registration'):
        assert 0 < len(texts(caplog, name)) <= 8, name
