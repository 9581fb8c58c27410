"""The verb `top`: its table."""
import pytest
from zc.zk.live.columns import columns

from zc.zkzopeserver import monitor
from zc.zkzopeserver.cli.verbs import top
from zc.zkzopeserver.errors import StartError

STATUS = {'pid': 4711, 'state': 'registered', 'requests': 1000,
          'in_flight': 3, 'queued': 1, 'busy_threads': 2, 'threads': 4,
          'connections': 12, 'uptime': 3725.2}


def table(answers, rates=None):
    """The lines of a table, without the first, as lists of words."""
    lines = list(top.table('web', answers, rates or top.Rates()))
    return lines[0], [line.split() for line in lines[1:]]


def test_a_table():
    first, rows = table({'127.0.0.1:41231': STATUS})
    assert first.startswith('web: 1 worker, ')
    assert rows == [
        ['ADDRESS', 'PID', 'STATE', 'REQ/S', 'IN', 'FLIGHT', 'WAITING',
         'BUSY', 'CONNECTIONS', 'UPTIME'],
        ['127.0.0.1:41231', '4711', 'registered', '-', '3', '1', '2/4', '12',
         '1', 'h', '2', 'min']]


def test_columns_stand_below_each_other():
    lines = list(top.table('web', {
        'a:1': STATUS, 'longer.example.com:80': {**STATUS, 'pid': 7}},
        top.Rates()))
    column = lines[1].index('STATE')
    assert all(line[column:].startswith('registered') for line in lines[2:])
    end = lines[1].index('IN FLIGHT') + len('IN FLIGHT')
    assert all(line[end - 1] == '3' for line in lines[2:])


def test_columns_stand_below_each_other_with_wide_letters():
    state = '\u767b\u9332'
    lines = list(top.table('web', {
        'a:1': {**STATUS, 'state': state}, f'{state}:80': STATUS},
        top.Rates()))
    places = {columns(line[:line.index('4711')]) for line in lines[2:]}
    assert len(places) == 1
    assert len(set(map(columns, lines[2:]))) == 1
    assert top.fitted([state * 9], 10, 9) == [state + state[0] + '...']


@pytest.mark.parametrize('width, missing', [
    (200, set()), (79, {'PID', 'UPTIME'}),
    (40, {'PID', 'UPTIME', 'CONNECTIONS', 'IN FLIGHT', 'WAITING'}),
    (20, {'PID', 'UPTIME', 'CONNECTIONS', 'IN FLIGHT', 'WAITING', 'REQ/S'})])
def test_a_narrow_terminal_has_fewer_columns(width, missing):
    _, head, line = top.table('web', {'127.0.0.1:41231': STATUS},
                              top.Rates(), width=width)
    assert {name for name in top.HEAD if name not in head} == missing
    assert width == 20 or max(len(head), len(line)) <= width
    # A row and its head have the same columns.
    assert ('4711' in line) == ('PID' in head)
    assert ('1 h 2 min' in line) == ('UPTIME' in head)


def test_a_narrow_terminal_has_short_addresses():
    long = 'web-frontend-17.rack-a7.north.example.com:41231'
    answers = {long: STATUS, '10.0.0.1:80': 'no answer at all: refused'}

    def lines(width):
        return list(top.table('web', answers, top.Rates(), width=width))[1:]

    assert long in lines(120)[2]
    head, refused, other = lines(79)
    assert 'WAITING' in head and len(head) <= 79
    assert other.startswith('web-front') and '...' in other
    # The reason does not make a column wide.
    assert refused.endswith('  no answer at all: refused')
    assert lines(39)[2] == 'web-front...com:41231  registered   2/4'


def test_a_terminal_says_what_it_has_no_room_for():
    lines = ['head', *map(str, range(9)), 'x' * 100]
    assert top.fitted(lines, 10, 11) == [*lines[:-1], 'xxxxxxx...']
    assert top.fitted(lines, 79, 5) == [
        'head', '0', '1', '2', '7 more have no room here']
    assert top.fitted(lines, 79, 1) == ['head']


def test_rates():
    rates = top.Rates()
    assert rates.rate(7, 100, 10.0) is None
    assert rates.rate(7, 150, 12.0) == 25.0
    assert rates.rate(8, 150, 12.0) is None
    # A new process with the same number.
    assert rates.rate(7, 3, 13.0) == 0


@pytest.mark.parametrize('answer', [
    'no answer', {}, {'pid': '4711', 'state': 17, 'requests': -1,
                      'uptime': 'x', 'threads': True},
    {**STATUS, 'state': '\x1b[2J\nregistered', 'uptime': 1e300},
    {**STATUS, 'requests': 2 ** 80, 'uptime': float('nan')}])
def test_answers_of_others(answer):
    first, rows = table({'127.0.0.1:1\n\x1b[2J': answer})
    assert len(rows) == 2
    assert all(word.isprintable() for row in rows for word in row)


@pytest.mark.parametrize('told, expected', [
    ('{"pid": 7}', {'pid': 7}),
    ('[]', 'its monitor server does not answer with a status'),
    ('help', 'its monitor server does not answer with a status'),
    ('[' * 100_000, 'its monitor server does not answer with a status')])
def test_what_a_monitor_says(monkeypatch, told, expected):
    monkeypatch.setattr(monitor, 'ask', lambda *arguments: told)
    assert top.ask(('127.0.0.1', 1)) == expected


def test_a_monitor_that_does_not_answer(monkeypatch):
    def fail(*arguments):
        raise StartError('the monitor at x\x1b: Connection refused')
    monkeypatch.setattr(monitor, 'ask', fail)
    assert top.ask(('127.0.0.1', 1)) == (
        'the monitor at x\\x1b: Connection refused')
