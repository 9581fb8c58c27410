"""The option `health`: ask the application, as long as it serves."""
from __future__ import annotations

import threading

from zc.zkzopeserver import readiness
from zc.zkzopeserver.options import Options


class HealthCheck:
    """Asks for the path of `health`, through the server's own socket.

    After `health_fall` bad answers in a row the server is sick, and well
    again after `health_rise` good ones.  An answer is good when it is 2xx or
    3xx and comes within `health_timeout`.
    """

    def __init__(self, options: Options, address: tuple[str, int]) -> None:
        self.is_sick = False
        self._options = options
        self._address = address
        # The answers in a row that speak against `is_sick`.
        self._against = 0
        self._last: int | str = ''

    def run(self, stopping: threading.Event) -> None:
        """Ask at an interval until `stopping` is set."""
        while not stopping.wait(self._options.health_interval):
            self.ask()

    def ask(self) -> None:
        """Ask once, and count the answer."""
        options = self._options
        assert options.health is not None
        self._last = answer = readiness.ask(
            self._address, options.health, options.health_timeout,
            readiness.question(options))
        is_good = isinstance(answer, int) and 200 <= answer < 400
        if is_good != self.is_sick:
            self._against = 0
            return
        self._against += 1
        limit = options.health_rise if is_good else options.health_fall
        if self._against >= limit:
            self._against = 0
            self.is_sick = not is_good

    @property
    def is_doubtful(self) -> bool:
        """Whether the server is sick, or the last answer was a bad one."""
        return self.is_sick or self._against > 0

    def describe(self) -> str:
        """Return the last answer as a text."""
        return f'{self._options.health} answers {self._last}'
