"""A server that hangs or is sick takes itself out of ZooKeeper.

It comes back by itself.  It stays where too few other servers would be left:
where what all share is down all would leave, and clients can do more with a
list of sick servers than with an empty one.
"""
from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.server import Server

from zc.zkzopeserver.hang import HangWatch
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.registration import ServiceRegistration

if TYPE_CHECKING:
    from zc.zkzopeserver.health import HealthCheck

logger = logging.getLogger('zc.zkzopeserver.presence')

# The time between two looks where nothing but health is looked at, in seconds.
LOOK_S = 0.5

# A server leaves after a time by chance, up to this many seconds, and tries
# again at this interval.  Chance spares ZooKeeper transactions that conflict;
# that one server stays does not depend on it.
CHANCE_S = 0.1
RETRY_S = 1.0

# Seconds between two counts of the servers, while all is well.
COUNT_S = 30.0

HUNG = 'hung'
UNHEALTHY = 'unhealthy'


class Presence:
    """Decides whether a registered server stays in ZooKeeper.

    `on_trouble` is called with HUNG, UNHEALTHY or '' at each change.
    `on_about_to_hang` is called with True when the server will hang if it goes
    on like this, a little before it does, and with False when it goes on.
    """

    def __init__(self, options: Options, server: Server,
                 registration: ServiceRegistration,
                 on_trouble: Callable[[str], None] = lambda trouble: None,
                 on_about_to_hang: Callable[[bool], None] = lambda is_so: None
                 ) -> None:
        #: HUNG, UNHEALTHY or '' for none.
        self.trouble = ''
        #: What the trouble is; '' for none.
        self.detail = ''
        #: Whether the server is out of ZooKeeper for it.
        self.is_out = False
        self._options = options
        self._server = server
        self._registration = registration
        self._on_trouble = on_trouble
        self._on_about_to_hang = on_about_to_hang
        self._is_about_to_hang = False
        self._hang = (HangWatch(server.activity, options.hung_after)
                      if options.hung_after else None)
        self._health: HealthCheck | None = None
        if options.health is not None:
            # Imported here: most servers do not need an HTTP client.
            from zc.zkzopeserver.health import HealthCheck
            self._health = HealthCheck(options, server.address)
        self._leave_at = 0.0
        self._has_said_stay = False
        # How many nodes there were when all was well, for a percentage.
        self._total = 0
        self._count_at = 0.0

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to look at."""
        return self._hang is not None or self._health is not None

    def start(self, stopping: threading.Event) -> None:
        """Begin to look, in threads that end once `stopping` is set."""
        if self._health is not None:
            threading.Thread(target=self._health.run, args=(stopping,),
                             name='zc.zkzopeserver.health',
                             daemon=True).start()
        threading.Thread(target=self._run, args=(stopping,),
                         name='zc.zkzopeserver.presence', daemon=True).start()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._next_look_s(time.monotonic())):
            try:
                self.look(time.monotonic(), stopping)
            except Exception:
                logger.exception('the next look may do better')

    def _next_look_s(self, now: float) -> float:
        look_s = LOOK_S if self._hang is None else self._hang.next_look_s(now)
        if self.trouble and not self.is_out and self._leave_at > now:
            return min(look_s, self._leave_at - now)
        return look_s

    def hung_s(self, now: float) -> float:
        """Return for how many seconds the server is known to hang."""
        since = None if self._hang is None else self._hang.hung_since
        return 0.0 if since is None else now - since

    def look(self, now: float, stopping: threading.Event) -> None:
        """Look once, and act on what is found."""
        trouble = ''
        if self._health is not None and self._health.is_sick:
            trouble, self.detail = UNHEALTHY, self._health.describe()
        if self._hang is not None:
            if self._hang.look(now):
                trouble, self.detail = HUNG, self._hang.describe()
            if self._hang.is_about_to_hang != self._is_about_to_hang:
                self._is_about_to_hang = self._hang.is_about_to_hang
                self._on_about_to_hang(self._is_about_to_hang)
        if trouble != self.trouble:
            self._note(trouble, now)
        if stopping.is_set():
            return
        if trouble and not self.is_out and now >= self._leave_at:
            self._leave(now)
        elif not trouble:
            if self.is_out:
                self.is_out = False
                self._registration.come_back()
            self._count(now)

    def _note(self, trouble: str, now: float) -> None:
        self.trouble, before = trouble, self.trouble
        if trouble:
            logger.error('%s: %s', trouble, self.detail)
            if trouble == HUNG:
                logger.error('where the threads hang:\n%s',
                             self._server.stacks())
        else:
            self.detail = ''
            logger.warning('no longer %s', before)
        if not before:
            self._leave_at = now + random.uniform(0, CHANCE_S)
            self._has_said_stay = False
        self._on_trouble(trouble)

    def _leave(self, now: float) -> None:
        keep = self._options.keep_registered
        others = keep.of(self._total or self._registration.count())
        self.is_out = self._registration.leave(others)
        if self.is_out:
            logger.warning('left ZooKeeper, as it is %s', self.trouble)
        else:
            self._leave_at = now + RETRY_S
            if not self._has_said_stay and self._registration.is_connected:
                self._has_said_stay = True
                logger.error('%s, and stays in ZooKeeper all the same: fewer'
                             ' than %d others would be left'
                             ' (keep_registered)', self.trouble, others)

    def _count(self, now: float) -> None:
        """Count the nodes now and then, if a percentage is to be kept."""
        if (self._options.keep_registered.is_percentage
                and now >= self._count_at
                and not (self._health and self._health.is_doubtful)):
            self._count_at = now + COUNT_S
            self._total = self._registration.count() or self._total
