"""Wait for a condition, not for time."""
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar('Value')


def wait_for(condition: Callable[[], Value | None], timeout: float = 30,
             message: str | Callable[[], str] = '',
             interval: float = .01) -> Value:
    """Call `condition` until it returns a true value; return that value.

    `timeout`
        The seconds after which AssertionError is raised, with the message and
        the last value.
    `message`
        What is waited for: a text, or a function that returns one. By default
        the name of the condition.
    `interval`
        The seconds between two calls.

    Exceptions of the condition are not caught.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(_complaint(condition, timeout, message,
                                            value))
        time.sleep(interval)
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
