"""Choose ports that a server can use again after a restart."""
import random
import socket

#: Below the ephemeral ports of Linux (from 32768, ip(7)) and of other systems
#: (from 49152, RFC 6335). While its server is down, an ephemeral port could be
#: taken by any outgoing connection, even by a client's attempt to reconnect.
RANGE = range(12000, 32000)


def free_port(host: str = '127.0.0.1') -> int:
    """Return a port that no process listens on at the moment.

    Raise OSError when none of 100 random ports is free.
    """
    for port in random.sample(RANGE, 100):
        if is_free(port, host):
            return port
    raise OSError(f'no free port found on {host} in {RANGE}')


def free_ports(count: int, host: str = '127.0.0.1') -> tuple[int, ...]:
    """Return `count` different free ports."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port(host))
    return tuple(ports)


def is_free(port: int, host: str = '127.0.0.1') -> bool:
    """Return whether a server could listen on the port."""
    with socket.socket() as candidate:
        # As servers do, so that connections in TIME_WAIT do not count.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
            candidate.listen()
        except OSError:
            return False
    return True
