"""Journal: the data file, which keeps persistent nodes.

The journal appends a record for each transaction before the transaction is
answered. A killed process therefore loses no confirmed change. A machine that
loses power may lose some, as nothing waits for the disk. When the records have
outgrown the nodes, a new file with the nodes alone replaces the old file.
"""
import contextlib
import fcntl
import logging
import os
import stat
from typing import BinaryIO

from zc.zk.embedded import datafile
from zc.zk.embedded import records
from zc.zk.embedded.errors import Damaged
from zc.zk.embedded.errors import DataError
from zc.zk.embedded.errors import Malformed
from zc.zk.embedded.errors import Torn
from zc.zk.embedded.transaction import Transaction
from zc.zk.embedded.tree import Tree

logger = logging.getLogger('zc.zk.embedded')

# The file is rewritten when it has grown by this or by twice its size,
# whichever is more.
GROWTH_BYTES = 4 << 20


class Journal:
    """An open and locked data file, and the tree that it holds.

    The constructor raises DataError when another server uses the file, or
    when the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        # A symbolic link stays one when the file behind it is replaced.
        self._is_broken = False
        self.tree = Tree()
        self.zxid = 0
        try:
            self._target = datafile.resolve(path)
            self._file = self._open()
        except DataError:
            raise
        except OSError as error:
            raise DataError(f'{path}: {error.strerror}') from error
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise

    def write(self, transaction: Transaction) -> bool:
        """Append the record of a transaction.

        Return whether the whole file was rewritten as well. Raise OSError
        when the record could not be written.
        """
        entries = self._entries(transaction)
        if not entries:
            return False
        record = records.frame(transaction.zxid, entries)
        self._append(record)
        self.zxid = transaction.zxid
        if self._size <= self._limit:
            return False
        self._compact()
        return True

    def close(self) -> None:
        """Close, and thereby unlock, the file."""
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        self._file.close()

    def _entries(self, transaction: Transaction) -> list[bytes]:
        entries = []
        for path in transaction.touched:
            node = self.tree.nodes.get(path)
            if node is None:
                entries.append(records.gone_entry(path))
            elif not node.is_ephemeral:
                entries.append(records.node_entry(path, node))
        for path in transaction.counted:
            node = self.tree.nodes.get(path)
            if node is not None and path not in transaction.touched:
                entries.append(records.count_entry(path, node))
        return entries

    def _append(self, record: bytes) -> None:
        if self._is_broken:
            raise OSError(0, 'not writable since an earlier error')
        try:
            written = self._file.write(record)
            if written != len(record):
                raise OSError(0, 'the record does not fit')
        except OSError:
            self._cut(self._size)
            raise
        self._size += len(record)

    def _cut(self, size: int) -> None:
        try:
            self._file.truncate(size)
        except OSError:
            # A record behind half a record could not be read.
            self._is_broken = True

    def _open(self) -> BinaryIO:
        while True:
            file = datafile.open_existing(self.path, self._target)
            try:
                self._lock(file)
                # Another server may have replaced the file before the lock.
                if os.path.samestat(
                    os.fstat(file.fileno()), os.lstat(self._target)
                ):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()

    def _lock(self, file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f'{self.path}: another server uses this file') from None

    def _load(self) -> None:
        end = os.fstat(self._file.fileno()).st_size
        with open(os.dup(self._file.fileno()), 'rb') as file:
            file.seek(0)
            magic = file.read(len(records.MAGIC))
            if not records.MAGIC.startswith(magic):
                raise DataError(
                    f'{self.path}: not a data file of this server')
            if len(magic) == len(records.MAGIC):
                end = self._read(file, end)
            else:
                end = 0
        self._file.truncate(end)
        if not end:
            self._file.write(records.MAGIC)
            end = len(records.MAGIC)
        self._size = end
        self._limit = 0
        self._compact()

    def _read(self, file: BinaryIO, end: int) -> int:
        """Apply the records; return where the last complete one ends."""
        self.tree.unlink()
        at = file.tell()
        try:
            while at < end:
                self.zxid = records.apply(
                    records.read_frame(file, end), self.tree)
                at = file.tell()
            self.tree.link()
        except Torn:
            logger.warning(
                '%s: the last record was not written to its end:'
                ' %d bytes dropped', self.path, end - at)
            self.tree.link()
        except (Damaged, Malformed, KeyError):
            raise DataError(
                f'{self.path}: damaged at byte {at} of {end}, in the middle:'
                ' use a copy of the file, or remove it to start anew',
            ) from None
        return at

    def _compact(self) -> None:
        """Replace the file by a file of the nodes, without history."""
        new_path = self._target + '.new'
        try:
            new = datafile.open_new(new_path)
        except OSError as error:
            self._postpone(error)
            return
        try:
            # The new file is as private as the old file.
            mode = os.fstat(self._file.fileno()).st_mode
            os.fchmod(new.fileno(), stat.S_IMODE(mode))
            fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = new.write(records.MAGIC)
            for record in records.snapshot(self.tree, self.zxid):
                size += _write_all(new, record)
            os.fsync(new.fileno())
            os.replace(new_path, self._target)
        except OSError as error:
            new.close()
            with contextlib.suppress(OSError):
                os.unlink(new_path)
            self._postpone(error)
            return
        self._file.close()
        self._file = new
        self._size = size
        self._is_broken = False
        self._limit = size + max(GROWTH_BYTES, 2 * size)

    def _postpone(self, error: OSError) -> None:
        logger.error(
            '%s: cannot be compacted: %s', self.path, error.strerror)
        self._limit = self._size + GROWTH_BYTES


def _write_all(file: BinaryIO, data: bytes) -> int:
    if file.write(data) != len(data):
        raise OSError(0, 'no room')
    return len(data)
