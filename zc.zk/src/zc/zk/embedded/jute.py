"""Jute, the serialisation under ZooKeeper's wire protocol: primitives."""
import struct
from collections.abc import Iterable

from zc.zk.embedded.errors import Malformed

INT = struct.Struct('>i')
LONG = struct.Struct('>q')


class Reader:
    """Takes one value after the other from the bytes of a record."""

    __slots__ = ('_at', '_data')

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def integer(self) -> int:
        """A signed integer of 32 bits."""
        return self._unpack(INT)

    def long(self) -> int:
        """A signed integer of 64 bits."""
        return self._unpack(LONG)

    def boolean(self) -> bool:
        """One byte, false when it is 0."""
        return self.take(1) != b'\0'

    def buffer(self) -> bytes | None:
        """Counted bytes; None (a count of -1) differs from empty."""
        size = self.integer()
        if size == -1:
            return None
        return self.take(size)

    def string(self) -> str:
        """A counted string.

        Clients write the empty string as null, so both are the empty
        string here. What is not UTF-8 becomes U+FFFD, which no path may
        contain, as Java does it.
        """
        return (self.buffer() or b'').decode('utf-8', 'replace')

    def strings(self) -> list[str]:
        """A vector of strings; a null vector is empty."""
        return [self.string() for _ in range(self.count())]

    def count(self) -> int:
        """The length of a vector: no more than there are bytes left."""
        size = self.integer()
        if size > self.left:
            raise Malformed(f'a vector of {size} in {self.left} bytes')
        return max(size, 0)

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """So many bytes."""
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise Malformed(f'{size} bytes wanted, {self.left} left')
        taken = self._data[self._at:end]
        self._at = end
        return taken

    def _unpack(self, form: struct.Struct) -> int:
        try:
            value, = form.unpack_from(self._data, self._at)
        except struct.error:
            raise Malformed(
                f'{form.size} bytes wanted, {self.left} left') from None
        self._at += form.size
        return value


def buffer(value: bytes | None) -> bytes:
    """Counted bytes."""
    if value is None:
        return INT.pack(-1)
    return INT.pack(len(value)) + value


def string(value: str) -> bytes:
    """A counted string in UTF-8."""
    encoded = value.encode('utf-8')
    return INT.pack(len(encoded)) + encoded


def strings(values: Iterable[str]) -> bytes:
    """A vector of strings."""
    parts = [string(value) for value in values]
    return INT.pack(len(parts)) + b''.join(parts)
