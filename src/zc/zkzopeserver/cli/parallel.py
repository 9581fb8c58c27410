"""Call a function for many items at once, within a limited time.

The items are names and addresses from nodes in ZooKeeper. A writer in the tree
can make them many, and make each lookup or connect slow.
"""
from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


def concurrently(function: Callable[[Item], Result], items: Iterable[Item],
                 at_once: int, timeout_s: float,
                 late: Callable[[Item], Result]) -> list[Result]:
    """Return what `function` returns for each item, in their order.

    At most `at_once` calls run at a time.  After `timeout_s` seconds `late`
    is called instead for each item that has no result.  Calls that still run
    go on in daemon threads, which do not keep the process from ending: a call
    of getaddrinfo(3) cannot be ended.  An exception of a call is raised.
    """
    todo = list(enumerate(items))
    waiting = iter(list(todo))
    lock = threading.Lock()
    # No SimpleQueue: in Python 3.10 its `get` waits for ever if its timeout,
    # which may be 0 here, ends too early.
    done: queue.Queue[tuple[int, Result | None, Exception | None]] = (
        queue.Queue())
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            with lock:
                position, item = next(waiting, (-1, None))
            if position < 0:
                return
            try:
                done.put((position, function(item), None))  # type: ignore
            except Exception as error:  # noqa: BLE001 (raised below)
                done.put((position, None, error))

    for _ in range(min(at_once, len(todo))):
        threading.Thread(target=work, daemon=True).start()
    deadline = time.monotonic() + timeout_s
    results: dict[int, Result] = {}
    try:
        while len(results) < len(todo):
            left_s = max(deadline - time.monotonic(), 0)
            position, result, error = done.get(timeout=left_s)
            if error is not None:
                raise error
            results[position] = result  # type: ignore[assignment]
    except queue.Empty:
        pass
    finally:
        is_over.set()
    return [results[position] if position in results else late(item)
            for position, item in todo]
