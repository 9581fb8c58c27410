"""Faults of bench/follow.py: what ZooKeeper and followers go through.

Each is a function of a site, the fronts before it, and a number of seconds,
whose meaning is its own. It returns the time from which all servers that run
are to be at work within 5 s.
"""
from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from follow_site import PATH
from follow_site import Front
from follow_site import Site

#: The time for which servers are cut off after they have vanished. Together
#: with the session timeout of 4 s, that is 3 session timeouts.
CUT_S = 8.

#: In the log of a follower that has brought a list.
BROUGHT = 'INFO cms: '

#: The longest time between two servers that can reach ZooKeeper again.
HEAL_GAP_S = .3


def partition(site: Site, fronts: Sequence[Front], gap: float) -> float:
    """Cut all servers off from ZooKeeper, `gap` seconds apart."""
    since = _cut(site, gap)
    time.sleep(max(0, CUT_S - (time.time() - since)))
    _heal(site, gap)
    return since


def killed(site: Site, fronts: Sequence[Front], seconds: float) -> float:
    """Kill the followers in a partition of all but one, and start them."""
    _cut(site, 0, 1)
    time.sleep(5)
    for front in fronts:
        front.follower.kill()
    time.sleep(seconds)
    return _start_in_partition(site, fronts)


def forgotten(site: Site, fronts: Sequence[Front], seconds: float) -> float:
    """Kill the followers before such a partition, and start them in it."""
    for front in fronts:
        front.follower.kill()
    _cut(site, 0, 1)
    time.sleep(seconds)
    return _start_in_partition(site, fronts)


def _start_in_partition(site: Site, fronts: Sequence[Front]) -> float:
    """Start the followers, then heal; return when they had their lists."""
    since = _start_followers(fronts)
    time.sleep(CUT_S)
    _heal(site, 0)
    return since


def most(site: Site, fronts: Sequence[Front], seconds: float) -> float:
    """Stop three quarters of the servers properly, at once."""
    site.stop_servers(sorted(site.ports)[:len(site.ports) * 3 // 4])
    return time.time()


def expiry(site: Site, fronts: Sequence[Front], seconds: float) -> float:
    """End all sessions of servers at once."""
    since = time.time()
    site.expire()
    return since


def restart(site: Site, fronts: Sequence[Front], seconds: float) -> float:
    """Restart ZooKeeper."""
    site.zookeeper.restart()
    return time.time()


def away(site: Site, fronts: Sequence[Front], seconds: float) -> float:
    """Stop ZooKeeper, and start it after `seconds`."""
    site.zookeeper.stop()
    time.sleep(seconds)
    site.zookeeper.start()
    return time.time()


def pause(site: Site, fronts: Sequence[Front], seconds: float) -> float:
    """Stop ZooKeeper by SIGSTOP, and have it go on after `seconds`."""
    site.zookeeper.pause()
    time.sleep(seconds)
    site.zookeeper.resume()
    return time.time()


def trim(site: Site, fronts: Sequence[Front], seconds: float) -> float:
    """Delete the providers node, and make it again, by imports with trim."""
    site.zk.import_tree('/cms\n', trim=True, force=True)
    assert not site.zk.exists(PATH)
    time.sleep(seconds)
    site.zk.import_tree('/cms\n  /providers\n', trim=True, force=True)
    return time.time()


def _start_followers(fronts: Sequence[Front]) -> float:
    """Return the time at which all have brought their first list."""
    counts = [front.follower.log().count(BROUGHT) for front in fronts]
    for front in fronts:
        front.start_follower()
    for front, count in zip(fronts, counts, strict=True):
        front.follower.wait_for_log(BROUGHT, count + 1)
    return time.time()


def _cut(site: Site, gap: float, left: int = 0) -> float:
    for number in sorted(site.ports)[left:]:
        site.networks[number].stall()
        time.sleep(gap)
    site.wait_nodes(left)
    return time.time()


def _heal(site: Site, gap: float) -> None:
    for number in site.ports:
        site.networks[number].heal()
        site.networks[number].reset()
        time.sleep(min(gap, HEAL_GAP_S))
    site.wait_registered()


FAULTS: dict[str, Callable[[Site, Sequence[Front], float], float]] = {
    function.__name__: function for function in (
        partition, most, killed, forgotten, expiry, restart, away, pause,
        trim)}


@dataclasses.dataclass(frozen=True)
class Row:
    """A fault to be tried."""

    fault: str
    servers: int
    seconds: float
    zookeeper: str

    @property
    def after_s(self) -> float:
        """The time for which the site is looked at after the last event."""
        return 3. if self.fault in ('partition', 'killed', 'forgotten') else 6.

    def __str__(self) -> str:
        return (f'{self.fault:9} {self.seconds:4g} s {self.servers:3} servers '
                f'{self.zookeeper:8}')


def rows() -> Iterator[Row]:
    """Yield all rows of the table."""
    for zookeeper in 'embedded', 'apache':
        for servers in 4, 20:
            for gap in 0, .3, 1.2:
                yield Row('partition', servers, gap, zookeeper)
            yield Row('most', servers, 0, zookeeper)
        yield Row('killed', 4, 0, zookeeper)
        yield Row('forgotten', 4, 0, zookeeper)
        yield Row('expiry', 4, 0, zookeeper)
        yield Row('expiry', 20, 0, zookeeper)
        yield Row('restart', 4, 0, zookeeper)
        yield Row('away', 4, 12, zookeeper)
        yield Row('pause', 4, 3, zookeeper)
        yield Row('pause', 4, 12, zookeeper)
        yield Row('trim', 4, 2, zookeeper)
