"""Read and write the primitives of Jute, ZooKeeper's serialisation."""
import struct
from collections.abc import Iterable

from zc.zk.embedded.errors import Malformed

INT = struct.Struct('>i')
LONG = struct.Struct('>q')


class Reader:
    """Reads the values of a record in their order.

    Each method raises Malformed at the end of the record.
    """

    __slots__ = ('_at', '_data')

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def integer(self) -> int:
        """Return the next signed integer of 32 bits."""
        return self._unpack(INT)

    def long(self) -> int:
        """Return the next signed integer of 64 bits."""
        return self._unpack(LONG)

    def boolean(self) -> bool:
        """Return the next byte: false when it is 0."""
        return self.take(1) != b'\0'

    def buffer(self) -> bytes | None:
        """Return the next counted bytes; None for a count of -1 (null)."""
        size = self.integer()
        if size == -1:
            return None
        return self.take(size)

    def string(self) -> str:
        """Return the next counted string; null is empty.

        Clients write the empty string as null. As in Java, bytes that are
        not UTF-8 become U+FFFD, which no path may contain.
        """
        return (self.buffer() or b'').decode('utf-8', 'replace')

    def strings(self) -> list[str]:
        """Return the next vector of strings; null is empty."""
        return [self.string() for _ in range(self.count())]

    def count(self) -> int:
        """Return the length of the next vector, 0 for null.

        Raise Malformed when it exceeds the number of bytes left.
        """
        size = self.integer()
        if size > self.left:
            raise Malformed(f'a vector of {size} in {self.left} bytes')
        return max(size, 0)

    @property
    def left(self) -> int:
        """The number of bytes that are not read yet."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
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
    """Return `value` as counted bytes; None is null."""
    if value is None:
        return INT.pack(-1)
    return INT.pack(len(value)) + value


def string(value: str) -> bytes:
    """Return `value` as a counted string in UTF-8."""
    encoded = value.encode('utf-8')
    return INT.pack(len(encoded)) + encoded


def strings(values: Iterable[str]) -> bytes:
    """Return `values` as a vector of strings."""
    parts = [string(value) for value in values]
    return INT.pack(len(parts)) + b''.join(parts)
