"""When a server hangs, to the look: by the clock of the caller."""
from __future__ import annotations

import pytest
from zope.server.running import Activity
from zope.server.running import RunningRequest

from zc.zkzopeserver.hang import LONGEST_LOOK_S
from zc.zkzopeserver.hang import SHORTEST_LOOK_S
from zc.zkzopeserver.hang import HangWatch

REQUEST = RunningRequest("GET '/'", 1.0)


class Server:
    """A server with two threads, as the test says what they do."""

    def __init__(self, after_s):
        self.finished = self.running = self.queued = 0
        self.watch = HangWatch(lambda: Activity(
            self.finished, self.queued, 2, (REQUEST,) * self.running),
            after_s)

    def hangs_from(self, begin, limit_s):
        """Look as the watch asks for; return when it hangs, None: not."""
        now = begin
        while now < begin + limit_s:
            if self.watch.look(now):
                return now
            now += self.watch.next_look_s(now)
        return None


@pytest.fixture
def server():
    return Server(3.0)


def test_it_hangs_at_the_end_of_the_time(server):
    server.running, server.queued = 2, 1
    assert server.hangs_from(0.0, 10) == pytest.approx(3.0)
    assert server.watch.hung_since == pytest.approx(3.0)


def test_the_time_begins_when_the_last_thread_is_busy(server):
    server.running, server.queued = 1, 0
    assert server.hangs_from(0.0, 2) is None
    server.running, server.queued = 2, 1
    assert server.hangs_from(2.01, 10) == pytest.approx(5.01)


def test_a_request_that_is_finished_is_no_hang(server):
    server.running, server.queued = 2, 5
    for begin in range(0, 20, 2):
        server.finished += 1
        assert server.hangs_from(float(begin), 2) is None


def test_it_hangs_when_one_waits_and_until_a_thread_is_free(server):
    server.running = 2
    assert server.hangs_from(0.0, 10) is None
    server.queued = 1
    assert server.hangs_from(10.0, 10) == 10.0
    # Clients have gone; there are no others once the server is out.
    server.queued = 0
    assert server.watch.look(11.0)
    server.finished, server.running = 1, 1
    assert not server.watch.look(12.0)
    assert server.watch.hung_since is None


def test_it_is_about_to_hang_half_a_second_before(server):
    server.running, server.queued = 2, 1
    for now, is_so in (0.0, False), (2.49, False), (2.5, True), (2.9, True):
        assert not server.watch.look(now)
        assert server.watch.is_about_to_hang is is_so
    assert server.watch.look(3.0) and server.watch.is_about_to_hang
    server.finished = 1
    assert not server.watch.look(3.1) and not server.watch.is_about_to_hang


def test_a_short_time_has_a_shorter_part_before():
    server = Server(0.6)
    server.running, server.queued = 2, 1
    server.watch.look(0.0)
    server.watch.look(0.49)
    assert not server.watch.is_about_to_hang
    server.watch.look(0.51)
    assert server.watch.is_about_to_hang


def test_nobody_waits_before_it_is_about_to_hang(server):
    server.running = 2
    server.watch.look(0.0)
    server.watch.look(2.6)
    assert not server.watch.is_about_to_hang


@pytest.mark.parametrize('after_s, look_s', [
    (0.1, SHORTEST_LOOK_S), (6.0, 0.1), (600.0, LONGEST_LOOK_S)])
def test_how_often_to_look(after_s, look_s):
    server = Server(after_s)
    server.watch.look(0.0)
    assert server.watch.next_look_s(0.0) == pytest.approx(look_s)
