"""Wait for a condition, not for time."""
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar('Value')


class Deadline:
    """The end of a wait, some seconds of this process's time from now.

    The time by which a `sleep` takes longer than it should does not count: the
    process was stopped, or the machine is too busy, also for what the process
    waits for.
    """

    def __init__(self, timeout: float) -> None:
        self._end = time.monotonic() + timeout

    def has_passed(self) -> bool:
        """Return whether the wait is over."""
        return time.monotonic() >= self._end

    def sleep(self, interval: float) -> None:
        """Sleep for `interval` seconds."""
        begin = time.monotonic()
        time.sleep(interval)
        self._end += max(0., time.monotonic() - begin - interval)


def wait_for(condition: Callable[[], Value | None], timeout: float = 30,
             message: str | Callable[[], str] = '',
             interval: float = .01) -> Value:
    """Call `condition` until it returns a true value; return that value.

    `timeout`
        The seconds after which AssertionError is raised, with the message and
        the last value; see `Deadline` for busy machines.
    `message`
        What is waited for: a text, or a function that returns one. By default
        the name of the condition.
    `interval`
        The seconds between two calls.

    Exceptions of the condition are not caught.
    """
    deadline = Deadline(timeout)
    while not (value := condition()):
        if deadline.has_passed():
            raise AssertionError(_complaint(condition, timeout, message,
                                            value))
        deadline.sleep(interval)
    return value


def wait_until(func: Callable[[], object], timeout: float = 9) -> None:
    """Call `func` until it returns a true value, as zc.zk 2's function did.

    Raise AssertionError after `timeout` seconds. `wait_for` says more.
    """
    wait_for(func, timeout)


def _complaint(condition: Callable, timeout: float,
               message: str | Callable[[], str], value: object) -> str:
    text = message() if callable(message) else message
    text = text or getattr(condition, '__name__', repr(condition))
    return f'waited {timeout:g} s for: {text} (last value: {value!r})'
