"""How often threads take turns: set for a while, and put back."""
from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
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


def test_blocks_that_end_in_another_order_put_it_back() -> None:
    """While blocks run, in any order, their shortest interval holds."""
    blocks = {0.001: switch_interval, 0.002: switch_interval,
              QUICK_SWITCH_S: lambda _: quick_switches()}
    for begins in itertools.permutations(blocks):
        for ends in itertools.permutations(blocks):
            running = {}
            for interval_s in begins:
                running[interval_s] = blocks[interval_s](interval_s)
                running[interval_s].__enter__()
                assert interval() == min(running)
            for interval_s in ends:
                running.pop(interval_s).__exit__(None, None, None)
                assert interval() == min(running, default=PYTHON_S)


def test_one_that_the_application_sets_stays_whatever_runs() -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(switch_interval(0.002))
        sys.setswitchinterval(0.02)
        # It cannot wait all the same.
        with quick_switches():
            assert interval() == QUICK_SWITCH_S
        assert interval() == 0.02
        with switch_interval(0.001):
            assert interval() == 0.02
        sys.setswitchinterval(0.000_05)
        with quick_switches():
            assert interval() == 0.000_05
    assert interval() == 0.000_05


def test_blocks_of_many_threads_put_it_back() -> None:
    def run() -> None:
        for _ in range(200):
            with switch_interval(0.001), quick_switches():
                found.add(round(sys.getswitchinterval(), 6))

    found: set[float] = set()
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {QUICK_SWITCH_S}
    assert interval() == PYTHON_S


# A child is forked while another thread changes the interval.
FORKED = """
import os
import threading
from zope.server import switching

held, ends = threading.Event(), threading.Event()

def hold():
    with switching._blocks._lock:
        held.set()
        ends.wait()

threading.Thread(target=hold).start()
held.wait()
if not (pid := os.fork()):
    with switching.quick_switches():
        os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
ends.set()
"""


def test_a_forked_child_is_not_held_up() -> None:
    """A thread of its parent may have been in the middle of a change."""
    with subprocess.Popen(
            [sys.executable, '-c', FORKED], stdout=subprocess.PIPE, text=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            start_new_session=True) as parent:
        try:
            assert parent.communicate(timeout=120)[0] == '7\n'
        except subprocess.TimeoutExpired:
            # With the child, which waits for ever.
            os.killpg(parent.pid, signal.SIGKILL)
            raise
