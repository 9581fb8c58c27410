"""Attacks on the monitor server of a running server."""
import json
import logging
import os

import pytest
import zc.monitor
from zc.zk.testing.waiting import wait_for
from zc_monitor_support.machines import HERE
from zc_monitor_support.machines import ask_from
from zc_monitor_support.machines import other_machine
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get
from zkzopeserver_support.running import running

LOGGER = 'zc.zkzopeserver.monitor'


def node(tree):
    """Return the name of the server's node, and where its monitor is."""
    name, = tree.get_children(PATH)
    return name, json.loads(tree.get(f'{PATH}/{name}')[0])['monitor']


@pytest.fixture
def ask(embedded, embedded_tree):
    """Return a function that asks the monitor of a running server."""
    with running(embedded, monitor_server='127.0.0.1:0'):
        _, monitor = node(embedded_tree)
        yield lambda line: zc.monitor.ask(monitor, line)


def records():
    """Return how many loggers, and records of missing ones, there are."""
    return len(logging.Logger.manager.loggerDict)


@pytest.mark.parametrize('line', [
    'loglevel {}', 'loglevel {} DEBUG', 'loglevel {} loud',
    'loglevel /{} HTTP/1.1'])
def test_a_line_of_dots_makes_no_loggers(ask, line):
    """A record for each dot, of 30 kB on the average: 1 GB in all."""
    before = records()
    answer = ask(line.format('.'.join('a' * 32_000)))
    assert records() == before
    assert len(answer) < 200


def test_a_level_of_any_length_is_none(ask):
    assert ask('loglevel root ' + '9' * 10_000).startswith("'999")
    assert ask('loglevel root -1').startswith("'-1' is not")


def test_a_web_page_cannot_have_commands_run(ask):
    for line in 'loglevel zc.zk HTTP/1.1', 'GET / HTTP/1.1', 'Host: evil':
        assert ask(f'{line}\r') == 'This is no HTTP server.\n'


CHANGES = 'drain', 'deregister', 'register', 'loglevel root DEBUG'


@pytest.mark.parametrize('host', [HERE, ''], ids=['one', 'all'])
def test_other_machines_change_nothing(embedded, embedded_tree, host, caplog):
    level = logging.getLogger().level
    with other_machine() as machine, \
            running(embedded, monitor_server=f'{host}:0') as thread:
        name, monitor = node(embedded_tree)
        port = int(monitor.rpartition(':')[2])
        answers = ask_from(machine, port, *CHANGES).splitlines()
        assert answers == [
            f'{line.split()[0]} is for clients of this machine; the option'
            ' monitor_control = any allows it to all' for line in CHANGES]
        assert thread.is_alive()
        assert embedded_tree.get_children(PATH) == [name]
        assert get(name)[0] == 200
        assert logging.getLogger().level == level
        # They may look, as the documents say.
        assert 'state: registered' in ask_from(machine, port, 'status')
        assert ask_from(machine, port, 'loglevel').startswith('root: ')
    refused = [record.getMessage() for record in caplog.records
               if record.name == LOGGER and 'refused' in record.getMessage()]
    assert [text.partition(', ')[0] for text in refused] == [
        f'refused {line}' for line in CHANGES]
    assert all('asked by 198.18.' in text for text in refused)


def test_other_machines_may_be_allowed_to(embedded, embedded_tree):
    with other_machine() as machine, running(
            embedded, monitor_server=f'{HERE}:0',
            monitor_control='any') as thread:
        _, monitor = node(embedded_tree)
        port = int(monitor.rpartition(':')[2])
        assert ask_from(machine, port, 'deregister', 'drain') == (
            'withdrawn\nstopping\n')
        thread.join(20)
        assert not thread.is_alive()


def test_a_monitor_on_all_interfaces_is_warned_of(
        embedded, embedded_tree, caplog):
    def warnings():
        return [record.getMessage() for record in caplog.records
                if record.name == LOGGER]
    with running(embedded, monitor_server='127.0.0.1:0'):
        assert warnings() == []
    with running(embedded, monitor_server=':0'):
        wait_for(lambda: embedded_tree.get_children(PATH))
        assert 'it listens on all interfaces' in warnings()[0]


def test_what_changes_something_is_logged_with_its_client(
        embedded, embedded_tree, caplog, short_path):
    path = short_path / 'm.sock'
    with running(embedded, monitor_server=str(path)):
        zc.monitor.ask(path, 'deregister')
        zc.monitor.ask(path, 'register')
        zc.monitor.ask(path, 'loglevel zc.zk')
    assert [record.getMessage() for record in caplog.records
            if record.name == LOGGER] == [
        f'{command}, asked by pid {os.getpid()} of uid {os.getuid()}'
        for command in ('deregister', 'register')]
