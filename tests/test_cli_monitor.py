"""The verb `monitor`: the monitor servers that it asks, and what it prints."""
import pytest

from zc.zkzopeserver import monitor as monitor_server
from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.verbs import monitor
from zc.zkzopeserver.errors import StartError

NODES = [Provider('a:1', {'pid': 1, 'monitor': 'a:2'}),
         Provider('b:1', {'pid': 1})]


def options(**given):
    return option_table.parse({'zookeeper': 'z:1', 'path': '/p', **given})


@pytest.mark.parametrize('address', ['a:1', 'a:2'])
def test_a_provider_is_chosen_by_either_address(address):
    assert monitor.chosen(NODES, address) == ('a:1', ('a', 2))


def test_a_name_comes_before_what_another_node_says():
    nodes = [Provider('a:0', {'monitor': 'a:1'}), *NODES]
    assert monitor.chosen(nodes, 'a:1') == ('a:1', ('a', 2))


@pytest.mark.parametrize('nodes, address, message', [
    (NODES, 'b:1', 'b:1 has no monitor server'),
    (NODES, 'x:1', 'no provider is registered at x:1; there are a:1, b:1'),
    ([], 'x:1', 'no provider is registered at x:1; there are none')])
def test_a_provider_that_cannot_be_asked(nodes, address, message):
    with pytest.raises(StartError) as caught:
        monitor.chosen(nodes, address)
    assert str(caught.value) == message


def test_the_monitor_server_of_a_process_that_is_not_registered():
    assert monitor.find_monitor(7, options()) is None
    assert monitor.find_monitor(
        7, options(monitor_server='/run/x/monitor.sock')) == (
            '/run/x/monitor.sock')


@pytest.fixture
def answers(monkeypatch):
    """Address of a monitor server -> its answer, or its exception."""
    answers = {}

    def ask(address, command, timeout_s):
        answer = answers[address]
        if isinstance(answer, Exception):
            raise answer
        return answer + command

    monkeypatch.setattr(monitor_server, 'ask', ask)
    return answers


def test_one_answer_is_printed_as_it_is(answers, capsys):
    answers['a:2'] = 'to '
    assert monitor.ask_all(Instance('web.ini'), [('a:1', 'a:2')], 'help',
                           1) == 0
    assert capsys.readouterr() == ('to help\n', '')


def test_several_answers_have_headings_and_one_that_fails_is_told(
        answers, capsys):
    answers.update({'a:2': 'to ', 'b:2': StartError('the monitor is gone')})
    targets = [('b:1', 'b:2'), ('a:1', 'a:2')]
    assert monitor.ask_all(Instance('web.ini'), targets, 'help', 1) == 1
    assert capsys.readouterr() == (
        'a:1:\nto help\n', 'web: b:1: the monitor is gone\n')
