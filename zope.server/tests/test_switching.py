"""How often threads take turns: set for a while, and put back."""
from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from zope.server import switching
from zope.server.switching import PYTHON_S
from zope.server.switching import QUICK_SWITCH_S
from zope.server.switching import quick_switches
from zope.server.switching import switch_interval


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """Begin with Python's interval; put back that of the tests."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(PYTHON_S)
    yield
    sys.setswitchinterval(before)


def interval() -> object:
    """Return the interval, to be compared with seconds."""
    return pytest.approx(sys.getswitchinterval())


def test_the_interval_is_put_back() -> None:
    with switch_interval(0.001):
        assert interval() == 0.001
    assert interval() == PYTHON_S
    with (contextlib.suppress(ZeroDivisionError), switch_interval(0.001)):
        raise ZeroDivisionError
    assert interval() == PYTHON_S


@pytest.mark.parametrize('of_the_application', (0.000_5, 0.02))
def test_an_interval_of_the_application_stays(
        of_the_application: float) -> None:
    sys.setswitchinterval(of_the_application)
    with switch_interval(0.001):
        assert interval() == of_the_application
    assert interval() == of_the_application


def test_one_that_it_sets_later_stays_too() -> None:
    with switch_interval(0.001):
        with quick_switches():
            sys.setswitchinterval(0.02)
        assert interval() == 0.02
    assert interval() == 0.02


def test_0_is_for_the_interval_as_it_is() -> None:
    with switch_interval(0):
        assert interval() == PYTHON_S


def test_the_constant_is_the_interval_that_python_begins_with() -> None:
    found = subprocess.run(
        [sys.executable, '-c', 'import sys; print(sys.getswitchinterval())'],
        stdout=subprocess.PIPE, check=True)
    assert float(found.stdout) == pytest.approx(switching.PYTHON_S)


def test_quick_switches_within_an_interval() -> None:
    with switch_interval(0.001):
        with quick_switches():
            assert interval() == QUICK_SWITCH_S
        assert interval() == 0.001
    assert interval() == PYTHON_S


def test_blocks_that_overlap_put_it_back() -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(quick_switches())
            assert interval() == QUICK_SWITCH_S
    assert interval() == PYTHON_S
    first, second = switch_interval(0.001), switch_interval(0.002)
    with contextlib.ExitStack() as others:
        with contextlib.ExitStack() as ones:
            ones.enter_context(first)
            others.enter_context(second)
            assert interval() == 0.001
    assert interval() == PYTHON_S
