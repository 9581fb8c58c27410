"""Loopback ports that a server can have again after a restart."""
import random
import socket

#: Below what Linux (32768) and others (49152) hand out by themselves.  A port
#: from there could be taken by any outgoing connection while its server is
#: down, even by a client's own attempt to reconnect to it.
RANGE = range(12000, 32000)


def free_port(host: str = '127.0.0.1') -> int:
    """Return a port that nobody listens on at the moment."""
    for port in random.sample(RANGE, 100):
        if is_free(port, host):
            return port
    raise OSError(f'no free port found on {host} in {RANGE}')


def free_ports(count: int, host: str = '127.0.0.1') -> tuple[int, ...]:
    """Return ``count`` different free ports."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port(host))
    return tuple(ports)


def is_free(port: int, host: str = '127.0.0.1') -> bool:
    """Tell whether a server could listen on the port."""
    with socket.socket() as candidate:
        # As servers do: connections that linger in TIME_WAIT don't count.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
            candidate.listen()
        except OSError:
            return False
    return True
