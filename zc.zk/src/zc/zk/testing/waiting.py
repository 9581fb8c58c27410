"""Wait for a condition, not for time."""
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar('Value')


def wait_for(condition: Callable[[], Value], timeout: float = 10,
             message: str | Callable[[], str] = '',
             interval: float = .01) -> Value:
    """Call ``condition`` until what it returns is true, and return that.

    After ``timeout`` seconds raise ``AssertionError`` with ``message`` (a text
    or a function that makes one) and the last value.  What the condition
    raises is not caught.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(_complaint(condition, timeout, message,
                                            value))
        time.sleep(interval)
    return value


def _complaint(condition: Callable, timeout: float,
               message: str | Callable[[], str], value: object) -> str:
    text = message() if callable(message) else message
    text = text or getattr(condition, '__name__', repr(condition))
    return f'waited {timeout:g} s for: {text} (last value: {value!r})'
