"""Test the wait for conditions."""
import time

import pytest
from zc.zk.testing.waiting import wait_for
from zc.zk.testing.waiting import wait_until


def test_returns_the_first_true_value():
    values = iter([0, '', None, 'there', 'too late'])
    assert wait_for(lambda: next(values)) == 'there'


def test_asks_at_least_once():
    assert wait_for(lambda: 'yes', timeout=0) == 'yes'


def test_says_what_it_waited_for_and_what_it_saw():
    with pytest.raises(AssertionError) as caught:
        wait_for(lambda: 0, .02, 'the sun')
    assert str(caught.value) == 'waited 0.02 s for: the sun (last value: 0)'


def test_message_may_be_made_at_the_end():
    seen = []
    with pytest.raises(AssertionError, match=r'for: \[1, 1'):
        wait_for(lambda: seen.append(1), .05, lambda: str(seen))


def test_names_the_condition_without_a_message():
    def is_done():
        return False

    with pytest.raises(AssertionError, match='for: is_done '):
        wait_for(is_done, .01)


def test_the_function_of_zc_zk_2():
    assert wait_until(lambda: True) is None
    with pytest.raises(AssertionError):
        wait_until(lambda: False, timeout=.01)


def test_gives_up_in_time():
    begin = time.monotonic()
    with pytest.raises(AssertionError):
        wait_for(lambda: False, .1)
    assert .1 <= time.monotonic() - begin < 8


def test_errors_of_the_condition_are_not_caught():
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 / 0)


def test_time_in_which_it_does_not_run_does_not_count(monkeypatch):
    """As on a machine that is too busy: each sleep ends 0.3 s late."""
    sleep, asked = time.sleep, []
    monkeypatch.setattr(time, 'sleep', lambda seconds: sleep(seconds + .3))
    begin = time.monotonic()
    wait_for(lambda: asked.append(1) or len(asked) == 6, 1)
    assert time.monotonic() - begin > 1.5
