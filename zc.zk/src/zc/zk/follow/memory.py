"""What a follower knew of vanished servers, for the one that comes after.

A follower that is started while servers are cut off from ZooKeeper would
believe the short list. So each keeps, beside its file, what it knows: the
servers, who has vanished and when, and who is held. The time of the file is
that at which its follower went round last.
"""
from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zc.zk.servers import Memory
from zc.zk.servers import Server
from zc.zk.servers.server import make_servers

logger = logging.getLogger('zc.zk.follow')

#: The most bytes of the file that are read.
MAX_BYTES = 2 ** 26

#: The version of the file; of another one nothing is believed.
VERSION = 1


@dataclass(frozen=True)
class Remembered:
    """What is known of a service; `age` is how old that is, in seconds."""

    memory: Memory
    servers: Mapping[str, Server]
    age: float = 0.0


class MemoryFile:
    """The file with what is known of all services, by their paths.

    Never raises: what cannot be read is not known, and what cannot be written
    is missed only by the next process. What is older than `longest` seconds
    is not believed: ports may have been given to other programs.
    """

    def __init__(self, path: Path, longest: float) -> None:
        self._path = path
        self._kept: Any = None
        self._found = self._read(longest)

    def get(self, path: str) -> Remembered | None:
        """Return what the process before knew of a service."""
        return self._found.get(path)

    def keep(self, services: Mapping[str, Remembered]) -> None:
        """Write what is known now, if it differs; note that we live."""
        # Without the times, which differ each time.
        new = {path: (known.memory.place, known.memory.present,
                      known.memory.count, known.servers,
                      {name: held is None for name, (_, held)
                       in known.memory.vanished.items()})
               for path, known in services.items()}
        try:
            if new == self._kept:
                os.utime(self._path)
            else:
                self._write(services)
                self._kept = new
        except OSError as error:
            self._kept = None
            logger.debug('%s: %s', self._path, error)

    def _write(self, services: Mapping[str, Remembered]) -> None:
        text = json.dumps({'version': VERSION, 'at': time.time(), 'services': {
            path: {'place': known.memory.place,
                   'present': sorted(known.memory.present),
                   'count': known.memory.count,
                   'vanished': known.memory.vanished,
                   'servers': {name: server.properties for name, server
                               in known.servers.items()}}
            for path, known in services.items()}})
        new = self._path.with_name(self._path.name + '.new')
        try:
            # Not synced to disk: after a loss of power there is no memory.
            with open(new, 'w', encoding='utf-8') as file:
                file.write(text)
            os.replace(new, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            raise

    def _read(self, longest: float) -> dict[str, Remembered]:
        try:
            with open(self._path, 'rb') as file:
                lived_at = os.fstat(file.fileno()).st_mtime
                data = json.loads(file.read(MAX_BYTES))
            if (data['version'] != VERSION
                    or not 0 <= time.time() - lived_at < longest):
                return {}
            age = max(time.time() - data['at'], 0.0)
            return {path: _remembered(found, age)
                    for path, found in data['services'].items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, LookupError, TypeError,
                AttributeError, ArithmeticError) as error:
            logger.warning('%s: not understood, and not used: %s %s',
                           self._path, type(error).__name__, error)
            with contextlib.suppress(OSError):
                self._path.unlink()
        return {}


def _remembered(found: Mapping[str, Any], age: float) -> Remembered:
    servers, _ = make_servers(found['servers'].items())
    # Of two names for one address `make_servers` leaves one out.
    return Remembered(Memory(
        str(found['place']), frozenset(servers.keys() & found['present']),
        int(found['count']),
        {name: (float(gone), None if held is None else float(held))
         for name, (gone, held) in found['vanished'].items()
         if name in servers}), servers, age)
