"""A connection, from its first byte to its last.

A connection belongs to one thread at a time.  While `is_busy` it belongs to a
thread of the pool, and the leader, the thread that polls, only notes in
`events` that there is something to read.  Otherwise it belongs to the leader.
It changes hands under the lock of the shared state.

A client that pipelines is read no further until its current request is
answered (back-pressure).
"""
from __future__ import annotations

import socket
import struct
from collections.abc import Sized
from time import monotonic
from typing import IO
from typing import Any
from typing import ClassVar
from typing import Final
from typing import Protocol

from zope.server.body import MustWait
from zope.server.body import PendingBody
from zope.server.errors import Disconnected
from zope.server.errors import HTTPError
from zope.server.form import mypyc_attr
from zope.server.metrics import USUAL_S
from zope.server.output import SendBuffer
from zope.server.poller import GONE
from zope.server.poller import HALF_CLOSED
from zope.server.poller import READ
from zope.server.poller import WRITE
from zope.server.proxied import ProxiedReceiver
from zope.server.receiver import Receiver
from zope.server.shared import SharedState
from zope.server.task import Task

RECV_BYTES = 65536
# How often a connection is read before other connections have their turn.
READS = range(8)
ENDED: Final = HALF_CLOSED | GONE
READABLE: Final = READ | ENDED
# For SO_LINGER, socket(7): on, for 0 seconds, so that close() sends a reset.
RESET = struct.pack('ii', 1, 0)
# Where applications find `Connection.is_disconnected`.
CLIENT_DISCONNECTED: Final = 'zope.server.client_disconnected'
# What a connection is doing.
RECEIVING: Final = 0
WAITING: Final = 1
ANSWERING: Final = 2
SENDING_FILE: Final = 3
ENDING: Final = 4
LINGERING: Final = 5
CLOSED: Final = 6


class Scheduler(Protocol):
    """What a connection asks of the loop that polls for it."""

    @property
    def waiting(self) -> Sized:
        """The bodies that wait for memory."""

    def come_again(self, connection: Connection) -> None:
        """Handle the connection in the next turn, without an event."""

    def wait_for_memory(self, connection: Connection,
                        body: PendingBody) -> None:
        """Call `end_wait` with `body` each turn, until it returns true."""

    def wake(self) -> None:
        """End the leader's wait for events."""

    def forget(self, connection: Connection) -> None:
        """Drop the connection, and count its requests: it is closed."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Connection:
    """A connection.

    `handle`, `check` and `proceed` return whether a request is complete (or
    a file has been sent): then the connection is busy, and a thread of the
    pool is to call `serve` and `proceed`.

    `peer` is the address of the other end: the client's, or that of the last
    proxy before this server.  `grace` are the seconds that reading the
    body of the current request may take, which do not count as work.  `ended`
    is when `serve` was over, as of time.monotonic().  `file_started` is when
    a thread took the request whose file is being sent.

    Its requests are `usual` and `others`.  With `is_measured` the usual ones
    are those of which metrics need only sums, see `zope.server.metrics.Tally`;
    else most are.
    """

    task_class: ClassVar[type[Task]] = Task

    __slots__ = ('shared', 'scheduler', 'sock', 'fd', 'peer', 'environ',
                 'receiver', 'output', 'task', 'grace', 'ended', 'state',
                 'is_busy', 'is_watched', 'events', 'since', 'usual',
                 'others', 'skipped', 'keep_alive', 'must_linger',
                 'must_reset', 'is_ending', 'file_started', 'is_measured',
                 'sent', 'duration', 'queue')

    def __init__(self, shared: SharedState, scheduler: Scheduler,
                 sock: socket.socket, address: Any) -> None:
        self.shared = shared
        self.scheduler = scheduler
        self.sock = sock
        self.fd = sock.fileno()
        # An IPv4 client of an IPv6 socket is shown as IPv4.
        self.peer: str = address[0].removeprefix('::ffff:')
        self.environ = environ = shared.environ.copy()
        environ['REMOTE_ADDR'] = self.peer
        environ['REMOTE_PORT'] = str(address[1])
        environ[CLIENT_DISCONNECTED] = self.is_disconnected
        self.receiver = self._make_receiver()
        self.output = SendBuffer(sock, shared.settings)
        self.task: Task | None = None
        self.grace = 0.0
        self.ended = 0.0
        self.state = RECEIVING
        self.is_busy = False
        self.is_watched = False
        self.events = 0
        self.since = shared.now
        self.usual = 0
        self.others = 0
        self.skipped = 0
        self.keep_alive = True
        self.must_linger = False
        self.must_reset = False
        # The client has ended the connection behind what is still to be read.
        # No further event will tell so.
        self.is_ending = False
        self.file_started = 0.0
        self.is_measured = False
        self.sent = 0
        self.duration = 0.0
        self.queue = 0.0

    def _make_receiver(self) -> Receiver[Task]:
        shared, waiting = self.shared, self.scheduler.waiting
        if shared.proxies is None:
            return Receiver(shared, self.environ, self.task_class, waiting)
        return ProxiedReceiver(shared, self.environ, self.task_class, waiting,
                               proxies=shared.proxies)

    # For the leader.

    def handle(self, events: int) -> bool:
        """Do what can be done now that there are these events."""
        if (self.state == RECEIVING and not self.output.pending
                and events & READABLE):
            if self.receive(events):
                return True
        else:
            self.events |= events & READABLE
            if events & GONE:
                self.output.abort()
            elif self.output.pending:
                self.flush()
        return self._continue()

    def flush(self) -> None:
        """Send some of what is kept."""
        if self.output.flush():
            self.scheduler.come_again(self)
        elif self.output.pending and self.shared.must_arm:
            self.shared.poller.arm(self.fd, WRITE)

    def check(self, now: float) -> bool:
        """End what has taken too long."""
        settings = self.shared.settings
        state = self.state
        if state == RECEIVING:
            error = self.receiver.overdue(now)
            if error is not None:
                self._send_error(error)
            elif self.is_idle and now - self.since > settings.channel_timeout:
                self.close()
        elif state == LINGERING:
            if self.is_read(now, settings.linger_timeout):
                self.close()
        elif self.output.is_stalled(now):
            self.output.abort()
        return self._continue()

    def end_wait(self, body: PendingBody) -> bool:
        """Receive a body if there is room; return whether its wait is over.

        It is over, too, when the connection was closed meanwhile.
        """
        if self.state == WAITING:
            place = body.place()
            if place is None:
                return False
            self.state = RECEIVING
            # What has come meanwhile is still to be read.
            self.events |= READ
            self.receiver.begin_body(place)
            if body.rest or self.receiver.must_continue:
                self._feed(body.rest)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request has come yet, nor is being sent."""
        return (self.state == RECEIVING and not self.is_busy
                and not self.receiver.has_begun())

    # For threads of the pool.

    def serve(self, started: float) -> None:
        """Run the task, or finish it once its file is sent.

        `started` is when the thread took it, as of time.monotonic().
        """
        task = self.task
        if task is None:
            raise RuntimeError('there is no request to serve')
        task.is_running = True
        if self.state == ANSWERING and not self.shared.is_cutting:
            if not task.run():
                self.state = SENDING_FILE
                self.grace = 0.0
                self.ended = monotonic()
                self.file_started = started
                task.is_running = False
                return
        else:
            if self.shared.is_cutting:
                self.output.abort()
            if self.output.is_broken:
                task.keep_alive = False
            if self.state == SENDING_FILE:
                started = self.file_started
                task.is_cut = task.is_cut or self.output.is_broken
        self.ended = ended = task.finish()
        self.task = None
        self.keep_alive = keep_alive = task.keep_alive
        self.state = ENDING
        if not keep_alive or task.store is not None:
            self._end(task, started)
            return
        if self.is_measured:
            began = task.began
            duration = ended - began
            if (task.code != 200 or duration > USUAL_S
                    or task.method != 'GET'):
                self._end(task, started)
                return
            self.sent += task.sent
            self.duration += duration
            self.queue += started - began
        self.usual += 1

    def _end(self, task: Task, started: float) -> None:
        """Do what is to be done only after some requests.

        These have a body, or end the connection, or are not `usual`.
        """
        self.others += 1
        if self.scheduler.waiting:
            # There may be room now, and the leader may sleep.
            self.scheduler.wake()
        if task.is_cut and not task.is_chunked and task.missing < 0:
            # Nothing but a reset can tell the client.
            self.must_reset = True

    def skip(self) -> None:
        """Drop the request unanswered: its client has gone while it waited."""
        task, self.task = self.task, None
        if task is not None:
            task.finish()
        if self.scheduler.waiting:
            # As in `serve`.
            self.scheduler.wake()
        self.output.abort()
        self.keep_alive = False
        self.skipped += 1
        self.state = ENDING

    def is_abandoned(self) -> bool:
        """Return whether the client has gone before its request was begun."""
        return self.state == ANSWERING and self.is_gone()

    def proceed(self, is_leader: bool = False) -> bool:
        """Go on after `serve`."""
        output = self.output
        if (is_leader and self.keep_alive and self.is_watched
                and self.state == ENDING and not self.events
                and not output.pending and not output.is_broken
                and not self.receiver.kept):
            # What _continue does, at the least expense.  No lock is needed:
            # only the leader notes events.
            self.state = RECEIVING
            self.since = self.shared.now
            self.is_busy = False
            return False
        return self._continue()

    def give_up(self) -> None:
        """Close the connection and drop its request, after a failure."""
        task, self.task = self.task, None
        self.close()
        if task is not None:
            task.drop()

    def send(self, data: bytes) -> None:
        """Send, or keep and wait for room."""
        self.output.send(data)
        if self.output.pending:
            self._wait()

    def send_on(self, data: bytes) -> None:
        """Send, or keep, without waiting."""
        self.output.send(data)
        if self.output.pending:
            self._watch_output()

    def send_pair(self, head: bytes, data: bytes) -> None:
        """Send two pieces, as `send` does."""
        self.output.send_pair(head, data)
        if self.output.pending:
            self._wait()

    def send_file(self, file: IO[bytes], offset: int, length: int) -> None:
        """Send a stretch of a file, without waiting."""
        self.output.send_file(file, offset, length)
        if self.output.pending:
            self._watch_output()

    def is_sending(self) -> bool:
        """Return whether some of what was sent is still kept."""
        return bool(self.output.pending)

    def is_gone(self) -> bool:
        """Return whether the client has reset the connection.

        A client that has only closed it may still read: that looks as if it
        had closed its sending side.
        """
        if self.output.is_broken:
            return True
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False

    def is_disconnected(self) -> bool:
        """Return whether the client has closed or reset the connection.

        Applications find this as CLIENT_DISCONNECTED in the environment.
        """
        if (self.state == CLOSED or self.is_ending or self.events & ENDED
                or self.output.is_broken):
            return True
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def has_more(self) -> bool:
        """Return whether the client has sent something after the request."""
        if self.receiver.has_begun():
            return True
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _wait(self) -> None:
        self._watch_output()
        self.output.wait()

    def _watch_output(self) -> None:
        self.watch()
        if self.shared.must_arm:
            self.shared.poller.arm(self.fd, WRITE)

    # For the thread to which it belongs.

    def watch(self) -> None:
        """Have the poller tell of events from now on."""
        if not self.is_watched:
            self.is_watched = True
            self.shared.poller.add(self.fd)

    def _continue(self) -> bool:
        """Go on until there is nothing to do but to wait."""
        while True:
            if self.state == ENDING and not self.output.pending:
                if self._next():
                    return self._hand_over()
            elif self.state == RECEIVING and self.events:
                if self.receive(self._take_events()):
                    return True
            elif self.state == LINGERING and self.events:
                self._take_events()
                self._discard()
            elif self.state == SENDING_FILE and not self.output.pending:
                self.is_busy = True
                return True
            if self.state == CLOSED:
                return False
            if not self.is_watched:
                self.watch()
            if self._release():
                return False

    def _release(self) -> bool:
        """Leave the connection to the loop, unless there is work to do."""
        was_busy = self.is_busy
        with self.shared.lock:
            if self.state in (RECEIVING, LINGERING):
                has_work = bool(self.events)
            elif self.state == WAITING:
                has_work = False
            else:
                has_work = not self.output.pending
            self.is_busy = has_work
        if was_busy and self.state == WAITING:
            # The leader may have gone to sleep before.
            self.scheduler.wake()
        return not has_work

    def _take_events(self) -> int:
        with self.shared.lock:
            events, self.events = self.events, 0
        return events

    def _hand_over(self) -> bool:
        self.state = ANSWERING
        self.task = task = self.receiver.take()
        task.sink = self
        task.shared = shared = self.shared
        if self.is_busy:
            # A thread of the pool has read it.  The time of the loop's last
            # turn may be long ago.
            task.began = monotonic()
        else:
            self.is_busy = True
            task.began = shared.now
        self.grace = 0.0 if task.store is None else task.grace
        # A client that does not expect the end of the connection may have
        # sent more; closing at once would then take the response from it.
        self.must_linger = task.keep_alive
        return True

    def receive(self, events: int) -> bool:
        """Read; return whether a request is complete."""
        if events & ENDED:
            self.is_ending = True
        receiver, room = self.receiver, RECV_BYTES
        for _ in READS:
            block = receiver.block
            try:
                if block is None:
                    data = self.sock.recv(RECV_BYTES)
                    size = len(data)
                else:
                    room = block.missing
                    size = self.sock.recv_into(block.space())
            except BlockingIOError:
                if self.shared.must_arm:
                    self.shared.poller.arm(self.fd, READ)
                return False
            except OSError:
                self.close()
                return False
            if not size:
                self.close()
                return False
            is_complete = (self._feed(data) if block is None
                           else receiver.fill(block, size))
            if size < room and not self.is_ending:
                if self.shared.must_arm:
                    self.shared.poller.arm(self.fd, READ)
                return is_complete and self._hand_over()
            if is_complete:
                with self.shared.lock:
                    self.events |= READ
                return self._hand_over()
            if self.state != RECEIVING:
                return False
            if receiver.block is None:
                # What has to be taken apart may take long.
                break
        self.scheduler.come_again(self)
        return False

    def _feed(self, data: bytes) -> bool:
        try:
            if self.receiver.feed(data):
                return True
            if self.receiver.must_continue:
                self.receiver.must_continue = False
                self.send_on(b'HTTP/1.1 100 Continue\r\n\r\n')
        except MustWait as wait:
            self.state = WAITING
            self.scheduler.wait_for_memory(self, wait.body)
        except HTTPError as error:
            self._send_error(error)
        except Disconnected:
            self.close()
        return False

    def _send_error(self, error: HTTPError) -> None:
        """Answer a request that the application never sees, and end."""
        self.state = ENDING
        self.keep_alive = False
        self.must_linger = True
        self.others += 1
        head, body = error.answer(self.shared.tail)
        line = self.receiver.first_line
        if line.startswith(b'HEAD '):
            body = b''
        try:
            self.send_on(head + body)
        except Disconnected:
            pass
        if self.shared.access_log is not None:
            self.shared.access_log.add_error(
                self.environ['REMOTE_ADDR'], line, error.status, len(body),
                self.peer)
        self.receiver.close()
        self.shared.refusals.add(self.peer, error, line)

    def _next(self) -> bool:
        """Go on after a response; return whether a request is complete."""
        self.since = self.shared.now
        if self.keep_alive and not self.output.is_broken:
            self.state = RECEIVING
            return self.receiver.has_begun() and self._feed(b'')
        if self.output.is_broken or self.must_reset:
            self.close()
        elif (self.must_linger or self.receiver.has_begun() or self.events
                or not self.is_ending and self.output.unacknowledged()):
            self._linger()
        else:
            self.close()
        return False

    def _linger(self) -> None:
        # Data that is unread, or that comes after the close, would make the
        # kernel reset the connection, and the client lose what it has not read
        # of the response.  So the close is in stages (RFC 9112, 9.6).
        self.state = LINGERING
        self.events |= READ
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def is_read(self, now: float, seconds: float) -> bool:
        """Return whether a connection that lingers can be closed.

        It can after this time, if the client's kernel has all of the response
        by then.  A client that reads slowly has until `send_timeout`.
        """
        age = now - self.since
        return age > seconds and (
            not self.output.unacknowledged()
            or age > self.shared.settings.send_timeout)

    def _discard(self) -> None:
        for _ in READS:
            try:
                if not self.sock.recv(RECV_BYTES):
                    break
            except BlockingIOError:
                if self.shared.must_arm:
                    self.shared.poller.arm(self.fd, READ)
                return
            except OSError:
                break
        else:
            self.scheduler.come_again(self)
            return
        self.close()

    @property
    def requests(self) -> int:
        """How many requests were answered."""
        return self.usual + self.others

    @property
    def age(self) -> float:
        """Seconds since the request was complete, or since it is idle."""
        if self.task is not None:
            return monotonic() - self.task.began
        return monotonic() - self.since

    def __str__(self) -> str:
        """Return what it is doing, as logs show it."""
        return str(self.task or f'a connection from {self.peer}')

    def cut(self) -> None:
        """End a connection that a thread of the pool still has."""
        self.output.abort()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the connection, whatever it is doing; may be repeated."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.scheduler.forget(self)
        if self.is_watched:
            self.shared.poller.remove(self.fd)
        if self.must_reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.output.abort()
        self.receiver.close()
        # Otherwise only the garbage collector could free the two.
        del self.environ[CLIENT_DISCONNECTED]
        self.sock.close()
