"""Who is held: simulated partitions, stops and rolls, and any sequence."""
import math
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import invariant
from hypothesis.stateful import rule
from zc.zk.servers.hold import ASK_INTERVAL_S
from zc.zk.servers.hold import MAX_SILENCES
from zc.zk.servers.hold import WINDOW_S
from zc.zk.servers.hold import Answer
from zc.zk.servers.hold import Hold

STEP_S = .1
ACCEPTED, REFUSED, SILENT = Answer

#: The option `deregister_wait` of the simulated servers.
DEREGISTER_WAIT_S = 1.0


@dataclass
class Server:
    """A simulated server; `in_use` is whether requests are sent to it."""

    listed: bool = True
    answer: Answer = ACCEPTED
    marked: bool = False


class Simulation:
    """A consumer of the list with `Hold`, and its servers, step by step."""

    def __init__(self, count, **options):
        self.hold = Hold(**options)
        self.servers = {f'{number}': Server() for number in range(count)}
        self.now = 1000.
        self.events = []
        self.in_use = set()
        self.failures = 0
        #: The number of servers that work, for each step.
        self.work = []
        self.run(1)

    def at(self, delay, function, *args):
        self.events.append((self.now + delay, function, args))

    def run(self, seconds):
        end = self.now + seconds
        while self.now < end - STEP_S / 2:
            self.step()
            self.now += STEP_S

    def restart(self, seconds):
        """End the consumer, and start it again after `seconds`."""
        hold = Hold(self.hold.longest, self.hold.after)
        memory = self.hold.memory(self.now)
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self.happen()
        hold.recall(self.now, memory, seconds)
        self.hold = hold

    def happen(self):
        for event in sorted(self.events, key=lambda event: event[0]):
            if event[0] <= self.now + STEP_S / 2:
                self.events.remove(event)
                event[1](*event[2])

    def step(self):
        self.happen()
        listed = {name for name, server in self.servers.items()
                  if server.listed}
        self.hold.see(self.now, listed)
        self.hold.withdraw(name for name in self.hold.suspects(self.now)
                           if self.servers[name].marked)
        for name in sorted(self.hold.due(self.now)):
            self.hold.answer(self.now, name, self.servers[name].answer)
        self.hold.expire(self.now)
        self.in_use = (listed | self.hold.held) or self.in_use
        working = [name for name in self.in_use
                   if self.servers[name].answer is ACCEPTED]
        self.failures += len(self.in_use) - len(working)
        self.work.append(len(working))

    def names(self, count):
        return [name for name, server in self.servers.items()
                if server.listed][:count]

    # What happens to servers:

    def lose(self, name):
        """The session expires, and the server goes on serving."""
        self.servers[name].listed = False

    def find(self, name):
        self.servers[name].listed = True

    def stop(self, name, wait=DEREGISTER_WAIT_S):
        """A proper stop: it serves on for `wait` seconds."""
        self.lose(name)
        self.at(wait, self.refuse, name)

    def refuse(self, name):
        self.servers[name].answer = REFUSED

    def silence(self, name):
        self.servers[name].answer = SILENT

    def start(self, name):
        self.servers[name] = Server()

    def partition(self, names, gap, seconds=10):
        for number, name in enumerate(names):
            self.at(number * gap, self.lose, name)
            self.at(number * gap + seconds, self.find, name)


@pytest.mark.parametrize('count', [2, 3, 4, 20])
@pytest.mark.parametrize('gap', [0, .3, 1.2])
def test_all_are_cut_off(count, gap):
    world = Simulation(count)
    world.partition(world.names(count), gap, 60)
    lost = (count - 1) * gap
    # Each is back 3 s after it was lost, once there are two.
    world.run(lost + 5)
    assert world.work[-1] == count
    world.run(55)
    assert world.work[-1] == count
    world.run(lost + 5)
    assert world.failures == 0
    assert world.hold.held == set()
    assert world.work[-1] == count


@pytest.mark.parametrize('gap', [0, .3, 1.2])
@pytest.mark.parametrize('rack', [10, 9, 8, 7])
def test_a_rack_is_cut_off(rack, gap):
    # Of two racks, equal or not quite, and of three.
    world = Simulation(20)
    world.partition(world.names(rack), gap, 60)
    world.run((rack - 1) * gap + 5)
    assert world.work[-1] == 20
    assert min(world.work) >= 20 - rack
    assert world.failures == 0


def test_a_partition_that_is_slow():
    # One server each 2 s: less than a third within any few seconds.
    world = Simulation(20)
    world.partition(world.names(20), 2, 100)
    world.run(20 * 2 + 5)
    assert world.work[-1] == 20
    assert min(world.work) >= 12
    assert world.failures == 0


@pytest.mark.parametrize('stopped, count', [(3, 4), (2, 4), (15, 20), (7, 20),
                                            (4, 4), (19, 20)])
def test_most_are_stopped_properly_at_once(stopped, count):
    world = Simulation(count)
    for name in world.names(stopped):
        world.stop(name)
    if stopped == count:  # nothing is left to use instead
        world.run(.9)
        assert world.failures == 0
        return
    world.run(60)
    assert world.failures == 0
    assert world.hold.held == set()
    assert world.work[-1] == count - stopped


@pytest.mark.parametrize('interval', [.5, 1, 2, 5])
@pytest.mark.parametrize('wait', [1, 5, 10])
@pytest.mark.parametrize('first', ['start', 'stop'])
def test_a_roll_to_other_ports(interval, wait, first):
    # Within the window all names change. Nothing is lost, also with servers
    # that serve on for longer than `after`.
    world = Simulation(20)
    for number, name in enumerate(world.names(20)):
        starts = number * interval + (interval / 2 if first == 'stop' else 0)
        stops = number * interval + (interval / 2 if first == 'start' else 0)
        world.at(starts, world.start, f'new {number}')
        world.at(stops, world.stop, name, wait)
    world.run(20 * interval + WINDOW_S)
    assert world.failures == 0
    assert world.hold.held == set()
    assert set(world.in_use) == {f'new {number}' for number in range(20)}


@pytest.mark.parametrize('batch', [2, 5, 10])
def test_a_roll_in_batches(batch):
    world = Simulation(20)
    for number, name in enumerate(world.names(20)):
        when = number // batch * 8
        world.at(when, world.stop, name)
        world.at(when + 4, world.start, f'new {number}')
    world.run(20 // batch * 8 + WINDOW_S)
    assert world.failures == 0
    assert world.hold.held == set()


def test_most_are_taken_out_by_their_operator():
    world = Simulation(4)
    for name in world.names(3):
        world.servers[name].marked = True
        world.lose(name)
    world.run(60)
    assert world.hold.held == set()
    assert world.in_use == {'3'}


def test_one_that_was_taken_out_stays_out_in_a_partition():
    world = Simulation(4)
    world.servers['0'].marked = True
    world.lose('0')
    world.run(5)
    world.partition(['1', '2', '3'], .3, 60)
    world.run(10)
    assert world.hold.held == {'1', '2', '3'}


def test_most_die_silently_at_once():
    # A switch, or the machine of them all, has failed.
    world = Simulation(4)
    for name in world.names(3):
        world.lose(name)
        world.silence(name)
    world.run(60)
    assert world.hold.held == set()
    assert world.failures == 0


def test_one_that_vanishes_alone_is_never_held():
    for count in 1, 2, 3, 20:
        world = Simulation(count)
        world.lose('0')
        world.run(60)
        assert world.hold.held == set()


def test_ports_that_are_used_again_are_not_believed():
    # Three are killed, and another program is given one of their ports.
    world = Simulation(4)
    for name in world.names(3):
        world.lose(name)
        world.refuse(name)
    world.at(5, lambda: setattr(world.servers['0'], 'answer', ACCEPTED))
    world.run(60)
    assert world.hold.held == set()


def test_a_busy_server_is_asked_again():
    world = Simulation(4)
    for name in world.names(3):
        world.lose(name)
    world.silence('0')
    world.run(5)
    assert world.hold.held == {'1', '2'}
    world.servers['0'].answer = ACCEPTED
    world.run(2)
    assert world.hold.held == {'0', '1', '2'}


def test_a_held_server_that_ends_is_given_up():
    world = Simulation(4)
    for name in world.names(3):
        world.lose(name)
    world.run(5)
    assert world.hold.held == {'0', '1', '2'}
    world.refuse('0')
    world.silence('1')
    world.run(ASK_INTERVAL_S + STEP_S)
    assert world.hold.held == {'1', '2'}
    world.run(MAX_SILENCES * ASK_INTERVAL_S)
    assert world.hold.held == {'2'}


def test_the_longest_time():
    world = Simulation(4, longest=20.)
    for name in world.names(3):
        world.lose(name)
    world.run(3.2 + 19)
    assert world.hold.held == {'0', '1', '2'}
    world.run(2)
    assert world.hold.held == set()
    world.run(60)
    assert world.hold.held == set()


def test_never():
    world = Simulation(4, longest=0.)
    for name in world.names(3):
        world.lose(name)
    world.run(60)
    assert world.hold.held == set()
    assert world.hold.wake_at(world.now) is None


def test_believe_zookeeper_now():
    world = Simulation(4)
    for name in world.names(3):
        world.lose(name)
    world.run(5)
    assert len(world.hold.held) == 3
    world.hold.believe()
    world.run(60)
    assert world.hold.held == set()
    # The last one vanishes: alone.
    world.lose('3')
    world.run(5)
    assert world.hold.held == set()


def test_links_that_lead_elsewhere_are_believed():
    hold = Hold()
    hold.see(1, {'a', 'b', 'c', 'd'}, '/blue')
    hold.see(2, {'e'}, '/green')
    assert hold.suspects(6) == set()
    assert hold.wake_at(6) is None


def test_all_sessions_expire_at_once():
    world = Simulation(4)
    world.partition(world.names(4), 0, .3)
    world.run(30)
    assert world.failures == 0
    assert min(world.work) >= 1
    assert world.work[-1] == 4


def test_an_answer_that_comes_late_holds_nobody():
    hold = Hold()
    hold.see(0, {'a', 'b', 'c', 'd'})
    hold.see(1, {'a'})
    assert hold.due(4) == {'b', 'c', 'd'}
    hold.see(4.5, {'a', 'e', 'f', 'g'})  # they are somewhere else now
    for name in 'bcd':
        hold.answer(5, name, ACCEPTED)
    assert hold.held == set()


@pytest.mark.parametrize('down', [0, 1, 5, 60])
@pytest.mark.parametrize('before', [0, 1, 5, 20])
@pytest.mark.parametrize('lost', [3, 4])
def test_a_restart_in_a_partition(before, down, lost):
    simulation = Simulation(4)
    simulation.partition([str(number) for number in range(lost)], 0, 200)
    simulation.run(before)
    simulation.restart(down)
    simulation.run(5)
    assert simulation.work[-1] == 4
    assert simulation.failures == 0
    if before >= 5:  # they were held, and are used on
        assert min(simulation.work[-50:]) == 4
    # A second restart, when they are held.
    simulation.restart(down)
    simulation.run(5)
    assert min(simulation.work[-50:]) == 4
    simulation.run(200)
    assert simulation.hold.held == set()
    assert simulation.work[-1] == 4


@pytest.mark.parametrize('down', [0, 1, 5, 60])
def test_a_restart_when_most_have_stopped_properly(down):
    simulation = Simulation(4)
    for name in '012':
        simulation.at(.2, simulation.stop, name)
    simulation.run(.1)
    simulation.restart(down)
    simulation.run(10)
    assert simulation.in_use == {'3'}
    assert simulation.failures == 0


def test_a_restart_does_not_make_the_longest_time_longer():
    simulation = Simulation(4, longest=20.)
    simulation.partition('012', 0, 1000)
    simulation.run(10)
    assert len(simulation.in_use) == 4
    simulation.restart(8)
    simulation.run(1)
    assert len(simulation.in_use) == 4
    simulation.run(6)
    assert len(simulation.in_use) == 1


def test_a_link_that_led_elsewhere_before_a_restart():
    hold = Hold()
    hold.see(0, {'a', 'b', 'c'}, '/blue')
    other = Hold()
    other.recall(100, hold.memory(0), 100)
    other.see(100, {'d'}, '/green')
    assert other.suspects(110) == set()


NAMES = st.frozensets(st.sampled_from('abcdefgh'))


class AnySequence(RuleBasedStateMachine):
    """Whatever ZooKeeper has and servers answer."""

    def __init__(self):
        super().__init__()
        self.hold = Hold(longest=20., after=3.)
        self.now = 0.
        self.present = frozenset()
        self.gone = {}
        self.accepted = set()
        self.held_since = {}

    @rule(present=NAMES)
    def see(self, present):
        for name in self.present - present:
            self.gone[name] = self.now
        for name in present:
            self.gone.pop(name, None)
        self.accepted -= present
        self.present = present
        self.hold.see(self.now, present)

    @rule(seconds=st.sampled_from([0, .1, 1, 3, 10, 31]))
    def wait(self, seconds):
        self.now += seconds
        self.hold.expire(self.now)

    @rule(answers=st.lists(st.sampled_from(Answer), min_size=8, max_size=8))
    def ask(self, answers):
        wake_at = self.hold.wake_at(self.now)
        due = self.hold.due(self.now)
        assert bool(due) == (wake_at is not None and wake_at <= self.now)
        assert self.hold.due(self.now) == set()
        for name, answer in zip(sorted(due), answers, strict=False):
            assert self.now - self.gone[name] >= 3
            before = name in self.hold.held
            self.hold.answer(self.now, name, answer)
            if answer is ACCEPTED:
                self.accepted.add(name)
            elif answer is REFUSED:
                self.accepted.discard(name)
                assert name not in self.hold.held
            elif not before:
                assert name not in self.hold.held

    @rule(seconds=st.sampled_from([0, 1, 31]))
    def restart(self, seconds):
        hold = Hold(self.hold.longest, self.hold.after)
        memory = self.hold.memory(self.now)
        self.now += seconds
        hold.recall(self.now, memory, seconds)
        assert hold.held == self.hold.held
        self.hold = hold
        self.hold.expire(self.now)

    @rule(names=NAMES)
    def withdraw(self, names):
        self.hold.withdraw(names)
        assert not self.hold.held & names

    @rule()
    def believe(self):
        self.hold.believe()
        assert not self.hold.held
        assert self.hold.wake_at(self.now) is None

    @invariant()
    def only_who_vanished_and_accepted_is_held(self):
        held = self.hold.held
        assert not held & self.present
        assert held <= self.gone.keys() & self.accepted
        for name in held:
            since = self.held_since.setdefault(name, self.now)
            # `wait` expires; no step is longer than 31 s.
            assert self.now - since < 20 or self.now == since
        for name in self.held_since.keys() - held:
            del self.held_since[name]

    @invariant()
    def time_is_finite(self):
        wake_at = self.hold.wake_at(self.now)
        assert wake_at is None or math.isfinite(wake_at)
        assert not self.hold.held or wake_at is not None


AnySequence.TestCase.settings = settings(
    max_examples=2 * settings.default.max_examples, stateful_step_count=40)
TestAnySequence = AnySequence.TestCase
