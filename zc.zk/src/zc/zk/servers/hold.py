"""Hold: servers that ZooKeeper has lost, and that serve all the same.

When servers are cut off from ZooKeeper, their sessions expire, and the list
of servers becomes short or empty while each of them works. A consumer that
believes each list sends all requests to the few that are left, or to none;
one that believes none goes on sending requests to servers that have stopped.

So the consumer believes ZooKeeper at once, and then asks. When at least two
servers, and a third of those that were there, have vanished within
`WINDOW_S`, each is asked by a TCP connect a few seconds after it vanished,
when a server that stops properly has closed its socket. A server that
accepts is put back, and asked again every second, until it refuses, or is
silent three times in a row, or comes back, or has been held for the longest
time.

What that rests on, and what was tried before:

- A third, because deployments have two racks or three availability zones, of
  which one is cut off. With "fewer than half are left", one of two equal
  racks was lost for as long as the partition lasted. Asking costs nothing: a
  server is put back only if it accepts.
- At least two: a server that vanishes alone has died, hangs, or was taken out
  by its operator, whatever share of a small service it is.
- The number of servers is compared, not their names. In a rolling restart
  each server comes back at another port: all names change and nothing is
  lost.
- The number of servers in use counts, held ones included, so that those that
  vanish later in a slow partition are asked, too.
- A refusal is final. The port of a process that has ended may be given to
  another program, which would accept. Silence is not final: a busy server
  drops connections, and so does a broken network.
- A process that is started again in a partition knows nobody who has
  vanished, and would believe the short list: `Memory` tells it.
- A server that was withdrawn by its operator goes on serving, and would be
  put back: its mark tells (`zc.zk.registration.marks`).

This module has no clock, no sockets and no threads: the caller passes in the
time and the answers.
"""
from __future__ import annotations

import enum
from collections import deque
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass

#: The time for which vanished servers, and the number of servers, count.
WINDOW_S = 30.0

#: The time between two questions to a server.
ASK_INTERVAL_S = 1.0

#: The number of questions in a row without an answer after which a held server
#: is given up.
MAX_SILENCES = 3

#: The fewest servers that vanish together, and the share that they are.
MIN_VANISHED = 2
SHARE = 3


class Answer(enum.Enum):
    """What a server answers to a TCP connect."""

    ACCEPTED = 'accepted'
    REFUSED = 'refused'
    SILENT = 'silent'


@dataclass
class _Vanished:
    """A server that ZooKeeper has lost; times as the caller passes them."""

    gone_at: float
    ask_at: float
    held_since: float | None = None
    silences: int = 0


@dataclass(frozen=True)
class Memory:
    """What a `Hold` knows, for the one of a process that comes after.

    `place` and `present` are those that `see` was told last, `count` is the
    greatest number of servers in use of the window. `vanished` has, by server,
    how many seconds ago it has vanished, and since how many it is held, or
    None.
    """

    place: str
    present: frozenset[str]
    count: int
    vanished: Mapping[str, tuple[float, float | None]]


class Hold:
    """Which vanished servers go on being used; a pure state machine.

    `longest` is the time in seconds for which a server is held, 0 for never.
    `after` is the time between vanishing and the first question. It has to
    exceed the servers' `deregister_wait`: a server that stops serves for so
    long after it has vanished, and must not be put back meanwhile.

    A server is any hashable key. Times never run backwards.
    """

    def __init__(self, longest: float = 300.0, after: float = 3.0) -> None:
        self.longest = longest
        self.after = after
        self._place = ''
        self._present: frozenset[str] = frozenset()
        self._vanished: dict[str, _Vanished] = {}
        # The numbers of servers in use, and the times from which they count.
        self._counts: deque[tuple[float, int]] = deque()

    @property
    def held(self) -> frozenset[str]:
        """The servers to use although ZooKeeper does not have them."""
        return frozenset(name for name, vanished in self._vanished.items()
                         if vanished.held_since is not None)

    @property
    def remembered(self) -> frozenset[str]:
        """The servers that have vanished, and may be put back, or are."""
        return frozenset(self._vanished)

    def memory(self, now: float) -> Memory:
        """Return what is known."""
        return Memory(self._place, self._present, self._peak(), {
            name: (now - vanished.gone_at,
                   None if vanished.held_since is None
                   else now - vanished.held_since)
            for name, vanished in self._vanished.items()})

    def recall(self, now: float, memory: Memory, age: float) -> None:
        """Go on from what a process before knew `age` seconds ago.

        Only before the first `see`. Servers that have vanished since count as
        vanished at that time, and are asked `after` seconds later: they may
        be about to stop. Held servers are used on, and asked at once.
        """
        self._place = memory.place
        self._present = memory.present
        self._counts.append((now, memory.count))
        for name, (gone, held) in memory.vanished.items():
            self._vanished[name] = _Vanished(
                now - gone, max(now, now - gone - age + self.after),
                None if held is None else now - held - age)

    def see(self, now: float, present: Collection[str],
            place: str = '') -> None:
        """Take in the list that ZooKeeper has now.

        A list that is stale is not to be passed: while ZooKeeper is away,
        nothing changes. `place` is where the list is: when links lead
        elsewhere now, that was done on purpose, and is believed.
        """
        new = frozenset(present)
        if place != self._place:
            self._place = place
            self._present = new
            self.believe()
        for name in self._present - new:
            self._vanished[name] = _Vanished(now, now + self.after)
        for name in new & self._vanished.keys():
            del self._vanished[name]
        self._present = new
        self._forget(now)
        self._count(now, len(new) + len(self.held))

    def withdraw(self, names: Iterable[str]) -> None:
        """Believe that these servers were taken out on purpose."""
        for name in names:
            self._vanished.pop(name, None)

    def believe(self) -> None:
        """Believe ZooKeeper: hold no server, and ask none."""
        self._vanished.clear()
        if self._counts:
            self._counts = deque([(self._counts[-1][0], len(self._present))])

    def suspects(self, now: float) -> frozenset[str]:
        """Return the servers that have vanished together and are not held.

        Before they are asked, the caller may find out which of them were
        withdrawn; see `withdraw`.
        """
        self._forget(now)
        if self.longest <= 0 or not self._is_mass_loss():
            return frozenset()
        return frozenset(self._vanished) - self.held

    def due(self, now: float) -> frozenset[str]:
        """Return the servers to ask now; `answer` is to be called for each.

        A server that is returned is due again `ASK_INTERVAL_S` later.
        """
        found = {name for name in self.suspects(now) | self.held
                 if self._vanished[name].ask_at <= now}
        for name in found:
            self._vanished[name].ask_at = now + ASK_INTERVAL_S
        return frozenset(found)

    def answer(self, now: float, name: str, answer: Answer) -> None:
        """Take in what a server has answered.

        An answer of a server that is not asked any more is ignored.
        """
        vanished = self._vanished.get(name)
        if vanished is None or self.longest <= 0:
            return
        if answer is Answer.ACCEPTED:
            vanished.silences = 0
            if vanished.held_since is None and self._is_mass_loss():
                vanished.held_since = now
        elif answer is Answer.REFUSED:
            del self._vanished[name]
        else:
            vanished.silences += 1
            if (vanished.held_since is not None
                    and vanished.silences >= MAX_SILENCES):
                del self._vanished[name]
        self._count(now, len(self._present) + len(self.held))

    def expire(self, now: float) -> frozenset[str]:
        """Give up servers that were held for the longest time; return them.

        Not to be called while ZooKeeper is away, when nothing changes.
        """
        over = frozenset(
            name for name, vanished in self._vanished.items()
            if vanished.held_since is not None
            and now - vanished.held_since >= self.longest)
        self.withdraw(over)
        if over:
            self._count(now, len(self._present) + len(self.held))
        return over

    def wake_at(self, now: float) -> float | None:
        """Return the time at which a server is due or over, None for never."""
        times = [self._vanished[name].ask_at
                 for name in self.suspects(now) | self.held]
        times += [vanished.held_since + self.longest
                  for vanished in self._vanished.values()
                  if vanished.held_since is not None]
        return min(times, default=None)

    def _peak(self) -> int:
        return max((count for _, count in self._counts), default=0)

    def _is_mass_loss(self) -> bool:
        peak = self._peak()
        lost = peak - len(self._present)
        return lost >= MIN_VANISHED and lost * SHARE >= peak

    def _count(self, now: float, count: int) -> None:
        if not self._counts or self._counts[-1][1] != count:
            self._counts.append((now, count))

    def _forget(self, now: float) -> None:
        """Forget what is older than the window."""
        begin = now - WINDOW_S
        # The number that counted when the window began counts in it.
        while len(self._counts) > 1 and self._counts[1][0] <= begin:
            self._counts.popleft()
        for name in [name for name, vanished in self._vanished.items()
                     if vanished.gone_at <= begin
                     and vanished.held_since is None]:
            del self._vanished[name]
