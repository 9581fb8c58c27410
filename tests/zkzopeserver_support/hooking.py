"""Hooks that write what they hear into the file that $HOOKED names."""
from __future__ import annotations

import os
import sys

import zope.event

from zc.zkzopeserver.service import Service

# No callable.
NOTHING = None


def write(line: str) -> None:
    """Add a line to the file."""
    with open(os.environ['HOOKED'], 'a') as file:
        file.write(f'{line}\n')


def subscriber(event: object) -> None:
    """Hear of the server's events, and not of those of zc.zk."""
    if type(event).__module__ == 'zc.zkzopeserver.hooks':
        write(type(event).__name__)


zope.event.subscribers.append(subscriber)


def starting(service: Service) -> None:
    """Write where the service listens, and that it has no node."""
    status = service.status()
    write(f'starting {status["address"]} {status["nodes"]}')


def registered(service: Service) -> None:
    """Write the nodes of the service."""
    write(f'registered {service.status()["nodes"]}')


def stopping(service: Service) -> None:
    """Write whether the service is in ZooKeeper."""
    write(f'stopping {service.status()["state"]}')


def exited(pid: int, status: int) -> None:
    """Write how a worker has ended."""
    write(f'exited {pid} {status}')


def failing(*arguments: object) -> None:
    """Raise an exception."""
    raise ValueError('of a hook')


def leaving(*arguments: object) -> None:
    """Ask for the end of the process."""
    sys.exit(7)
