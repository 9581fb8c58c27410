"""A proxy that spoils frames of ZooKeeper's protocol, when a test says so."""
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from zc_zk_support.frames import Frames

TO_SERVER, TO_CLIENT = 'to_server', 'to_client'

#: Takes a frame with its length, and returns the bytes to send instead.
Spoil = Callable[[bytes], bytes]


class Corruption(Frames):
    """Forward frames, and spoil some of them; a context manager.

    `arm` says which; until then, and after that, the proxy is honest. `reset`
    closes all connections. `spoiled` holds the frames that were spoiled, and
    `honest_since` is the time.monotonic() after the last of them.
    """

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.spoiled: list[bytes] = []
        self.honest_since = 0.0
        self._lock = threading.Lock()
        self._skip = self._count = 0
        self._direction = ''
        self._type: int | None = None
        self._length: int | None = None
        self._spoil: Spoil = bytes

    def arm(self, direction: str, spoil: Spoil, skip: int = 0,
            count: int = 1, type_: int | None = None,
            length: int | None = None) -> None:
        """Spoil `count` frames in a direction, after the next `skip`.

        With `type_`, only requests of this type are meant; with `length`,
        only frames of this length, with the four bytes that tell it.
        """
        with self._lock:
            self.spoiled = []
            self._direction, self._spoil = direction, spoil
            self._type, self._length = type_, length
            self._skip, self._count = skip, count

    def disarm(self) -> None:
        """Be honest from now on."""
        with self._lock:
            if self._count:
                self._count = 0
                self.honest_since = time.monotonic()

    @property
    def is_armed(self) -> bool:
        """Whether there is a frame to come that will be spoiled."""
        return self._count > 0

    def reset(self) -> None:
        """Close all connections."""
        for end in list(self.open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def forward(self, source: socket.socket, sink: socket.socket,
                check: Callable) -> None:
        """Send on frames, spoiled if it is their turn."""
        direction = TO_SERVER if check == self.request else TO_CLIENT
        super().forward(source, _Sink(sink, direction, self), lambda *_: False)

    def changed(self, direction: str, frame: bytes) -> bytes:
        """Return what is sent in place of a frame."""
        with self._lock:
            if direction != self._direction or not self._count:
                return frame
            if (self._type not in (None, _type(frame))
                    or self._length not in (None, len(frame))):
                return frame
            if self._skip:
                self._skip -= 1
                return frame
            self._count -= 1
            self.honest_since = time.monotonic()
            self.spoiled.append(frame)
            return self._spoil(frame)


class _Sink:
    """A socket that sends frames spoiled."""

    def __init__(self, sink: socket.socket, direction: str,
                 proxy: Corruption) -> None:
        self._sink, self._direction, self._proxy = sink, direction, proxy

    def sendall(self, frame: bytes) -> None:
        self._sink.sendall(self._proxy.changed(self._direction, frame))

    def shutdown(self, how: int) -> None:
        self._sink.shutdown(how)


# Ways to spoil a frame


class Once:
    """Spoil the first frame that `spoil` changes, and no other.

    `done` holds that frame, once it was spoiled. To be armed with a `count`
    that is high enough for all frames before it.
    """

    def __init__(self, spoil: Spoil) -> None:
        self._spoil = spoil
        self.done: list[bytes] = []

    def __call__(self, frame: bytes) -> bytes:
        changed = frame if self.done else self._spoil(frame)
        if changed != frame:
            self.done.append(frame)
        return changed


def cut(size: int) -> Spoil:
    """Send only the first bytes of the body; the length stays."""
    return lambda frame: frame[:4 + size % max(len(frame) - 4, 1)]


def shorten(size: int) -> Spoil:
    """Send a frame that is too short, but has the right length."""
    return lambda frame: _framed(frame[4:4 + size % max(len(frame) - 4, 1)])


def grow(extra: bytes) -> Spoil:
    """Send a frame that is too long, but has the right length."""
    return lambda frame: _framed(frame[4:] + extra)


def flip(*bits: int) -> Spoil:
    """Change bits, counted from the first one of the length."""
    def spoil(frame: bytes) -> bytes:
        changed = bytearray(frame)
        for bit in bits:
            place, shift = divmod(bit % (len(frame) * 8), 8)
            changed[place] ^= 128 >> shift
        return bytes(changed)
    return spoil


def overwrite(offset: int, data: bytes) -> Spoil:
    """Replace bytes, from `offset` of the frame with its length."""
    return lambda frame: (frame[:offset] + data + frame[offset + len(data):]
                          if len(frame) >= offset + len(data) else frame)


def replace(old: bytes, new: bytes) -> Spoil:
    """Replace some bytes by as many others."""
    assert len(old) == len(new)
    return lambda frame: frame.replace(old, new)


def say_length(length: int) -> Spoil:
    """Lie about the length."""
    return lambda frame: struct.pack('!i', length) + frame[4:]


def _type(frame: bytes) -> int:
    """Return the type of a request: what follows its length and its xid."""
    return struct.unpack_from('!i', frame, 8)[0]


def _framed(body: bytes) -> bytes:
    return struct.pack('!i', len(body)) + body
