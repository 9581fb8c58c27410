"""Who is chosen: the pure part of the balancer."""
import collections

import hypothesis
import hypothesis.strategies as st
import pytest
from zc.zk.balancing.candidates import FIRST_REST_S
from zc.zk.balancing.candidates import LONGEST_REST_S
from zc.zk.balancing.candidates import Candidates
from zc.zk.balancing.candidates import weight_of
from zc.zk.servers import Server


def server(number, **properties):
    """A server by its number."""
    return Server(f'10.0.0.{number}:80', f'10.0.0.{number}', 80, properties)


@pytest.fixture
def three():
    """Candidates of three servers."""
    made = Candidates()
    made.set([server(1), server(2), server(3)])
    return made


def counts(candidates, picks=3000, now=0.0, exclude=()):
    """How often each server is picked, by its number."""
    found = collections.Counter(
        candidates.pick(now, exclude).server.host[-1] for _ in range(picks))
    return dict(found)


def test_each_gets_its_share(three):
    for count in counts(three).values():
        assert 800 < count < 1200


def test_who_has_less_to_do_is_chosen(three):
    for _ in range(300):
        three.pick(0.0).load += 1
    loads = [each.load for each in three._by_name.values()]
    assert sum(loads) == 300
    assert max(loads) - min(loads) <= 5


def test_weights():
    made = Candidates()
    made.set([server(1, weight=3), server(2, weight=1), server(3, weight=0)])
    found = counts(made, 4000)
    assert '3' not in found
    assert 2700 < found['1'] < 3300
    # With much to do, the weights hold for what is under way.
    for _ in range(400):
        made.pick(0.0).load += 1
    loads = {name[7]: each.load for name, each in made._by_name.items()}
    assert 260 < loads['1'] < 340


@pytest.mark.parametrize('weight, expected', [
    (0, 0), (1, 1), (256, 256), (257, 1), (-1, 1), ('3', 1), (2.0, 1),
    (True, 1), (None, 1), ([3], 1)])
def test_weights_from_outside(weight, expected):
    assert weight_of({'weight': weight}) == expected
    assert weight_of({}) == 1


def test_only_weightless_servers():
    made = Candidates()
    made.set([server(1, weight=0), server(2, weight=0)])
    assert set(counts(made, 100)) == {'1', '2'}


def test_who_fails_rests(three):
    failed = three._by_name['10.0.0.1:80']
    three.failed(failed, 10.0)
    assert failed.rest_until == 10.0 + FIRST_REST_S
    assert set(counts(three, 200, 11.0)) == {'2', '3'}
    assert set(counts(three, 200, 12.0)) == {'1', '2', '3'}
    # What fails during the rest is no news.
    three.failed(failed, 11.0)
    assert failed.rest_until == 12.0
    now = 12.0
    rests = []
    for _ in range(6):
        three.failed(failed, now)
        rests.append(failed.rest_until - now)
        now = failed.rest_until
    assert rests == [4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert max(rests) == LONGEST_REST_S
    three.succeeded(failed)
    three.failed(failed, now)
    assert failed.rest_until == now + FIRST_REST_S


def test_when_all_rest_one_is_used_all_the_same(three):
    for number, each in enumerate(three._by_name.values()):
        three.failed(each, float(number))
    assert three.pick(2.0).server.host == '10.0.0.1'
    assert three.pick(2.0, {'10.0.0.1:80'}).server.host == '10.0.0.2'
    assert three.pick(2.0, set(three._by_name)) is None


def test_excluded_servers(three):
    assert set(counts(three, 200, 0.0, {'10.0.0.1:80'})) == {'2', '3'}


def test_nobody():
    made = Candidates()
    assert made.pick(0.0) is None
    made.set([])
    assert made.pick(0.0) is None
    assert len(made) == 0


def test_preferred_servers():
    made = Candidates({'rack': 'A7', 'x': None})
    made.set([server(1, rack='A7', x=None), server(2, rack='A7'),
              server(3, rack='A7', x=None), server(4)])
    assert set(counts(made, 200)) == {'1', '3'}
    made.failed(made._by_name['10.0.0.1:80'], 0.0)
    assert set(counts(made, 200, 1.0)) == {'3'}
    made.failed(made._by_name['10.0.0.3:80'], 0.0)
    assert set(counts(made, 200, 1.0)) == {'2', '4'}


def test_a_server_that_stays_keeps_what_is_known_of_it(three):
    kept = three._by_name['10.0.0.1:80']
    kept.load = 7
    three.failed(kept, 1.0)
    gone = three.set([server(1, weight=5), server(4)])
    assert [each.host for each in gone] == ['10.0.0.2', '10.0.0.3']
    assert three._by_name['10.0.0.1:80'] is kept
    assert (kept.load, kept.weight, kept.rest_until) == (7, 5, 3.0)
    three.reset()
    assert kept.load == 0


def took(candidates, now, times, count=1):
    """Have requests take some seconds, by the servers' numbers."""
    for _ in range(count):
        for number, seconds in times.items():
            name = f'10.0.0.{number}:80'
            candidates.took(candidates._by_name[name], now, seconds)


def test_a_slow_server_is_left_alone(three):
    took(three, 10.0, {1: 0.005, 2: 0.006, 3: 0.05}, 5)
    assert set(counts(three, 300, 10.0)) == {'1', '2'}
    # Not when the fast ones have much to do.
    for _ in range(60):
        three.pick(10.0).load += 1
    assert 1 <= three._by_name['10.0.0.3:80'].load < 20


def test_a_slow_server_is_tried_again(three):
    took(three, 10.0, {1: 0.005, 2: 0.005, 3: 0.05}, 5)
    took(three, 12.0, {1: 0.005, 2: 0.005})
    assert '3' not in counts(three, 300, 12.0)
    took(three, 40.0, {1: 0.005, 2: 0.005})
    assert '3' in counts(three, 300, 40.0)
    # It is still slow, as a few requests tell.
    took(three, 40.0, {3: 0.05}, 3)
    assert '3' not in counts(three, 300, 40.0)
    took(three, 80.0, {1: 0.005, 2: 0.005})
    took(three, 80.0, {3: 0.005})
    for count in counts(three, 3000, 80.0).values():
        assert 800 < count < 1200


def test_a_fast_server_is_not_preferred(three):
    """It may be one that has nothing but errors."""
    took(three, 10.0, {1: 0.0001, 2: 0.01, 3: 0.012}, 20)
    for count in counts(three, 3000, 10.0).values():
        assert 800 < count < 1200


def test_a_long_request_does_not_make_a_server_slow(three):
    took(three, 10.0, {1: 0.005, 2: 0.005, 3: 0.005}, 10)
    took(three, 10.0, {1: 60.0})
    assert '1' in counts(three, 300, 10.0)
    # Nor does the first one, for long.
    three.set([server(1), server(2), server(4)])
    took(three, 10.5, {4: 60.0})
    took(three, 10.5, {4: 0.005}, 8)
    assert '4' in counts(three, 300, 10.5)


def test_times_of_busy_machines_do_not_count(three):
    took(three, 10.0, {1: 0.0001, 2: 0.0001, 3: 0.014}, 20)
    assert '3' in counts(three, 300, 10.0)


@pytest.mark.parametrize('numbers', [[1], [1, 2]])
def test_of_two_servers_none_is_slow(numbers):
    """There is no telling which is the exception."""
    made = Candidates()
    made.set([server(number) for number in numbers])
    took(made, 10.0, {number: 10.0 ** number for number in numbers}, 20)
    assert len(counts(made, 300, 10.0)) == len(numbers)


def test_a_slow_server_that_is_left_alone_by_others_is_used(three):
    took(three, 10.0, {1: 0.005, 2: 0.005, 3: 0.05}, 5)
    for number in 1, 2:
        three.failed(three._by_name[f'10.0.0.{number}:80'], 10.0)
    assert set(counts(three, 20, 10.0)) == {'3'}


def test_the_time_of_a_server_that_is_gone(three):
    gone = three._by_name['10.0.0.3:80']
    three.set([server(1)])
    assert gone.is_gone
    three.took(gone, 10.0, 1.0)
    three.set([])
    three.took(gone, 20.0, 1.0)
    assert gone.extra == 0


@hypothesis.given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0, 100),
                       st.floats(0, 30)), max_size=60))
def test_times_leave_servers_to_choose(requests):
    made = Candidates()
    made.set([server(number) for number in range(1, 5)])
    now = 0.0
    for number, seconds, later in requests:
        now += later
        name = f'10.0.0.{number}:80'
        if name in made:
            took(made, now, {number: seconds})
        every = list(made._by_name.values())
        assert sum(each.extra == 0 for each in every) >= 2
        assert all(0 <= each.extra <= 15 for each in every)
        assert made.pick(now) is not None


@hypothesis.given(
    st.lists(st.tuples(st.integers(1, 250), st.integers(-1, 300)),
             unique_by=lambda pair: pair[0], max_size=20),
    st.sets(st.integers(1, 250)), st.sets(st.integers(1, 250)))
def test_whoever_can_be_chosen_is(servers, resting, excluded):
    made = Candidates({'rack': 'A'})
    made.set([server(number, weight=weight, rack='AB'[number % 2])
              for number, weight in servers])
    names = {f'10.0.0.{number}:80' for number in excluded}
    for number in resting:
        if f'10.0.0.{number}:80' in made:
            made.failed(made._by_name[f'10.0.0.{number}:80'], 0.0)
    found = made.pick(1.0, names)
    left = {number for number, _ in servers} - excluded
    if not left:
        assert found is None
        return
    number = int(found.server.host.rpartition('.')[2])
    assert number in left
    if left - resting:
        assert number not in resting
        if {each for each in left - resting if each % 2 == 0}:
            assert number % 2 == 0
