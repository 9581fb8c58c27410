"""NAME.session: the sessions of a server's processes, for after a crash.

Each process that has a ZooKeeper session keeps its key (see
`zc.zkzopeserver.sessionkeys`) in a slot of the file, which it has locked as
long as it lives (see `zc.zkzopeserver.slotfile`).  So a slot that has a key
and no lock is of a process that has died and could not end its session.  Any
process that finds one ends the session and empties the slot.

The nodes of the dead are gone at once where clients find other servers beside
them.  Where they would find an empty list, the nodes stay until one of the
successors is registered, or others are, but not longer than the session
time-out: that is how long an operator lets clients see a server that was
killed.

Slots with a lock are of live processes.  A worker whose parent has died goes
on for a while.  A new parent keeps it by a lock on the flag of its slot, and
has it go by the flag.
"""
from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Iterator

from zc.zkzopeserver.sessionkeys import LIMIT_BYTES
from zc.zkzopeserver.sessionkeys import SessionKey
from zc.zkzopeserver.slotfile import CONTENT_BYTES
from zc.zkzopeserver.slotfile import SlotFile

logger = logging.getLogger('zc.zkzopeserver.sessions')

assert LIMIT_BYTES < CONTENT_BYTES

# How many sessions are ended at once.
AT_ONCE = 16

# The first and the longest pause, in seconds, between two attempts to end the
# sessions of dead processes while ZooKeeper does not answer.
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0

# The longest time, in seconds, for which the nodes of dead processes stay as
# there are no others, whatever the session time-out: no ZooKeeper grants a
# longer one by default (maxSessionTimeout, 20 ticks of 2 s).
MAX_HOLD_S = 40.0

# How often, in seconds, these look whether there are others by now.
LOOK_INTERVAL_S = 1.0

# The longest time, in seconds, to ask for the nodes of all that are dead.
ASK_S = 2.0

# The flag of a process that is to go.
GO = b'g'


@dataclasses.dataclass
class Forgotten:
    """What `SessionFile.forget` has done.

    `ended` are the keys of sessions that have ended, and of those that had
    ended before.  `failed` are the keys of those that may still live.
    `problems` are lines about these and about the file.  `living` are the
    keys of live processes.
    """

    ended: list[SessionKey] = dataclasses.field(default_factory=list)
    failed: list[SessionKey] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    living: list[SessionKey] = dataclasses.field(default_factory=list)


class SessionFile:
    """The session file of a server; its methods are thread-safe.

    A trouble with the file is logged once, and the server does without.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = SlotFile(path)
        self._lock = threading.RLock()
        # The slot of this process; None before it keeps a key.
        self._slot: int | None = None
        # The slots whose sessions this process is ending: its own locks do
        # not keep its other threads away.
        self._ending: set[int] = set()
        # The slots of workers that this process, a parent, has taken over.
        self._adopted: list[int] = []
        self._has_complained = False
        self._closed = threading.Event()
        # Set once clients find a successor of dead processes, or at the end.
        self._succeeded = threading.Event()

    # The session of this process.

    def keep(self, key: SessionKey) -> None:
        """Keep the key of this process's session, instead of the last one."""
        with self._lock:
            if self._closed.is_set():
                return
            try:
                text = key.encode().encode()
                if self._slot is None:
                    self._slot = self._file.claim(self._ending)
                self._file.write(self._slot, text)
            except (OSError, ValueError) as error:
                self._complain(error)

    def drop(self) -> None:
        """Forget the key of this process: its session needs no ending."""
        with self._lock, contextlib.suppress(OSError):
            if self._slot is not None:
                self._file.write(self._slot, b'')

    def close(self) -> None:
        """Release what this process has; remove a file without keys."""
        self._closed.set()
        self._succeeded.set()
        with self._lock:
            self._slot = None
            try:
                self._file.close()
            except OSError as error:
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            why = getattr(error, 'strerror', None) or error
            logger.warning(
                '%s: %s; if this process is killed, its nodes stay until its'
                ' session times out', self.path, why)

    # The sessions of dead processes.

    def forget(self) -> Forgotten:
        """End the sessions of processes that have died.

        That takes a few seconds where ZooKeeper does not answer; their keys
        stay then.
        """
        done = Forgotten()
        try:
            dead = self._take_dead(done.living)
        except FileNotFoundError:
            return done
        except OSError as error:
            done.problems.append(f'{self.path}: {error.strerror}')
            return done
        if dead:
            # Imported here: hardly any start finds one.
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for (_, key), problem in zip(
                        dead, pool.map(self._end, dead), strict=True):
                    if problem:
                        done.failed.append(key)
                        done.problems.append(problem)
                    else:
                        done.ended.append(key)
        return done

    def succeed(self, hold_s: float) -> None:
        """Begin to end the sessions of dead processes, in a thread.

        That begins at once if there are nodes beside theirs.  Else it begins
        when there are, when `note_registered` is called, or after `hold_s`
        seconds: for clients, an empty list may be worse than one that is
        wrong.  It goes on until all have ended, and ends with the process, or
        with `close`.
        """
        if os.path.lexists(self.path):
            threading.Thread(target=self._forget_all, args=[hold_s],
                             daemon=True,
                             name='zc.zkzopeserver.forget').start()

    def note_registered(self) -> None:
        """Note that clients find a server of this process, or its workers."""
        self._succeeded.set()

    def _hold(self, hold_s: float) -> None:
        """Wait as long as the nodes of the dead are to stay."""
        now = time.monotonic()
        until = now + min(hold_s, MAX_HOLD_S)
        while (now < until and not self._succeeded.is_set()
               and (dead := self._dead()) and are_alone(dead)):
            self._succeeded.wait(min(until - now, LOOK_INTERVAL_S))
            now = time.monotonic()

    def _dead(self) -> list[SessionKey]:
        """Return the keys of processes that have died."""
        with self._lock, contextlib.suppress(OSError):
            if not self._closed.is_set():
                return [key for slot in self._slots_of_others()
                        if self._file.holder(slot) is None
                        and (key := self._read(slot)) is not None]
        return []

    def _forget_all(self, hold_s: float) -> None:
        self._hold(hold_s)
        problems: list[str] = []
        pause_s = FIRST_PAUSE_S
        while True:
            found, problems = problems, self.forget().problems
            for problem in problems:
                if problem not in found:
                    logger.warning('%s', problem)
            if not problems or self._closed.wait(pause_s):
                return
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def discard(self, session: int) -> None:
        """Empty the slot of a dead process, whose session has ended."""
        with contextlib.suppress(OSError):
            for slot, key in self._take_dead([]):
                self._give_back(slot, key.session == session)

    def _take_dead(self, living: list[SessionKey]
                   ) -> list[tuple[int, SessionKey]]:
        """Lock the slots of processes that have died; return their keys.

        `living` gets the keys of those that live.
        """
        found: list[tuple[int, SessionKey]] = []
        with self._lock:
            if self._closed.is_set():
                return found
            for slot in self._slots_of_others():
                key = self._read(slot)
                if not self._file.take(slot):
                    if key is not None:
                        living.append(key)
                    continue
                # It may have been written since.
                key = self._read(slot)
                if key is None:
                    self._file.write(slot, b'')
                    self._file.release(slot)
                else:
                    self._ending.add(slot)
                    found.append((slot, key))
        return found

    def _slots_of_others(self) -> list[int]:
        """Return the slots that this process neither has nor is emptying."""
        return [slot for slot in self._file.slots()
                if slot != self._slot and slot not in self._ending]

    def _read(self, slot: int) -> SessionKey | None:
        with contextlib.suppress(ValueError):
            return SessionKey.decode(self._file.read(slot))
        return None

    def _give_back(self, slot: int, is_done: bool) -> None:
        """Unlock the slot of a dead process, emptied when all is done."""
        with self._lock:
            self._ending.discard(slot)
            if self._file.is_open:
                if is_done:
                    self._file.write(slot, b'')
                self._file.release(slot)

    def _end(self, dead: tuple[int, SessionKey]) -> str:
        """End a session and empty its slot; return why not, '' when done."""
        slot, key = dead
        problem = ''
        try:
            was_there = key.end()
        except Exception as error:  # noqa: BLE001 (a line for the operator)
            problem = f'{key} is not ended: {error}'
        else:
            logger.info('%s, which has died, %s', key,
                        'is ended' if was_there else 'had ended already')
        self._give_back(slot, not problem)
        return problem

    # Live workers whose parent has died.

    def adopt(self) -> int:
        """Keep the workers of a parent that has died; return how many.

        For a parent, before it has workers of its own.
        """
        with self._lock, contextlib.suppress(OSError):
            self._adopted = [
                slot for slot in self._file.slots()
                if slot not in self._ending
                and self._file.holder(slot) is not None
                and self._file.take_flag(slot)]
        return len(self._adopted)

    @property
    def adopted(self) -> int:
        """How many adopted workers live and were not told to go."""
        with self._lock, contextlib.suppress(OSError):
            self._adopted = [slot for slot in self._adopted
                             if self._file.holder(slot) is not None]
        return len(self._adopted)

    def dismiss(self, count: int | None = None) -> int:
        """Have adopted workers go, all without `count`; return how many."""
        dismissed = 0
        with self._lock, contextlib.suppress(OSError):
            while self._adopted and dismissed != count:
                slot = self._adopted.pop(0)
                if self._file.holder(slot) is not None:
                    self._file.set_flag(slot, GO)
                    dismissed += 1
        return dismissed

    def dismiss_orphans(self) -> list[int]:
        """Have all workers without a parent go; the others pay no heed.

        Return the pids of all processes with a slot, those that this process
        can see.
        """
        pids = []
        with self._lock, contextlib.suppress(OSError):
            for slot in self._file.slots():
                pid = self._file.holder(slot)
                if pid is not None and pid > 0:
                    pids.append(pid)
            self.adopt()
            self.dismiss()
        return pids

    def is_dismissed(self) -> bool:
        """Return whether this process, an orphan, is to go."""
        with self._lock, contextlib.suppress(OSError):
            return (self._slot is not None
                    and self._file.flag(self._slot) == GO)
        return False

    def is_adopted(self) -> bool:
        """Return whether a parent keeps this process, an orphan."""
        with self._lock, contextlib.suppress(OSError):
            return (self._slot is not None
                    and self._file.is_flag_taken(self._slot))
        return False


def are_alone(dead: list[SessionKey]) -> bool:
    """Return whether there may be no nodes but those of dead processes.

    They are asked for side by side, for ASK_S at most.  False where the dead
    have no nodes either.
    """
    # Imported here: hardly any start finds one.
    from concurrent.futures import ThreadPoolExecutor
    from concurrent.futures import wait
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        asked = [pool.submit(key.others) for key in dead]
        if wait(asked, ASK_S).not_done:
            return True
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    own: set[str] = set()
    beside: set[str] = set()
    for answer in asked:
        # To end the session says what is wrong.
        found = None if answer.exception() else answer.result()
        if found is None:
            # Its nodes would be taken for those of others.
            return True
        own |= found[0]
        beside |= found[1]
    return bool(own) and not beside - own


@contextlib.contextmanager
def serving(path: str) -> Iterator[SessionFile]:
    """Yield the session file of a server of this process."""
    with contextlib.closing(SessionFile(os.path.abspath(path))) as file:
        yield file


def forget(path: str) -> Forgotten:
    """End the sessions of processes that have died, by their file."""
    file = SessionFile(path)
    try:
        return file.forget()
    finally:
        file.close()
