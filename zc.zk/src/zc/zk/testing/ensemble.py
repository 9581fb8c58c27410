"""Ensemble: a real ensemble of Apache ZooKeeper servers on one machine."""
import os
from pathlib import Path

from zc.zk.testing.apache import Apache
from zc.zk.testing.expiry import expire_session
from zc.zk.testing.installation import Installation
from zc.zk.testing.installation import obtain
from zc.zk.testing.ports import free_ports
from zc.zk.testing.process import ATTEMPTS
from zc.zk.testing.process import HasClientId
from zc.zk.testing.process import NotReady
from zc.zk.testing.waiting import wait_for

#: In ticks: the time to connect to a leader, and to be behind it.
LIMITS: dict[str, object] = {'initLimit': 50, 'syncLimit': 10}


class Ensemble:
    """Servers that elect a leader, three by default.

    `servers` is a tuple of `Apache` objects, empty before the first start.
    `chroot` is a path that is appended to the connection string. A context
    manager, which starts and stops the servers.
    """

    name = 'apache'

    def __init__(self, folder: str | os.PathLike,
                 installation: Installation | None = None,
                 size: int = 3) -> None:
        self.folder = Path(folder)
        self.installation = installation or obtain()
        self.size = size
        self.servers: tuple[Apache, ...] = ()
        self.chroot = ''

    @property
    def hosts(self) -> str:
        """``HOST:PORT`` of all servers, with commas between."""
        return ','.join(server.hosts for server in self.servers)

    @property
    def connection_string(self) -> str:
        """The hosts and the chroot."""
        return self.hosts + self.chroot

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the running servers, such as ``(3, 9, 6)``."""
        return self.servers[0].version

    def start(self, timeout: float = 60) -> None:
        """Start all servers; return when each leads or follows.

        Raise NotReady when one does not within `timeout` seconds.
        """
        for attempt in range(1, ATTEMPTS + 1):
            self.servers = self._configured(attempt)
            try:
                self._start(self.servers, timeout)
                return
            except NotReady:
                self.stop()
                if attempt == ATTEMPTS:
                    raise

    def restart(self, timeout: float = 60) -> None:
        """Restart all servers, with the same ports and data."""
        self.stop()
        self._start(self.servers, timeout)

    def stop(self) -> None:
        """Kill all servers; acknowledged changes stay."""
        for server in self.servers:
            server.kill()

    close = stop

    def heal(self, timeout: float = 60) -> None:
        """Restart dead and paused servers, and wait for all."""
        for server in self.servers:
            if server.is_paused:
                # A resumed leader takes seconds to see that it no longer
                # leads. A new process is faster.
                server.kill()
        dead = [server for server in self.servers if not server.is_running()]
        self._start(dead, timeout)
        for server in self.servers:
            server.wait_ready(timeout)

    @property
    def leader(self) -> Apache:
        """The leader; waits up to 30 seconds for the end of an election."""
        return wait_for(self._find_leader, 30, 'the ensemble to have a leader')

    @property
    def followers(self) -> tuple[Apache, ...]:
        """The followers at the moment."""
        return tuple(server for server in self.servers
                     if server.mode() == 'follower')

    def kill_leader(self) -> Apache:
        """Kill the leader, and return it."""
        leader = self.leader
        leader.kill()
        return leader

    def pause_leader(self) -> Apache:
        """Pause the leader, and return it."""
        leader = self.leader
        leader.pause()
        return leader

    def server_of(self, client: HasClientId) -> Apache:
        """Return the server that a client is connected to."""
        session = f'sid=0x{client.client_id[0]:x},'
        return wait_for(lambda: next(
            (server for server in self.servers
             if session in server.ask('cons')), None),
            message=f'a server to have the connection of {session}')

    def expire(self, client: HasClientId) -> None:
        """End a client's session; return when no server knows it."""
        expire_session(self.leader.address, *client.client_id)

    def __enter__(self) -> 'Ensemble':
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _find_leader(self) -> Apache | None:
        for server in self.servers:
            if server.mode() == 'leader':
                return server
        return None

    def _configured(self, attempt: int) -> tuple[Apache, ...]:
        """Choose all ports: each server must know the ports of all servers."""
        numbers = range(1, self.size + 1)
        ports = iter(free_ports(3 * self.size))
        settings = dict(LIMITS)
        for number in numbers:
            settings[f'server.{number}'] = (
                f'127.0.0.1:{next(ports)}:{next(ports)}')
        servers = []
        for number in numbers:
            server = Apache(self.folder / f'{attempt}-{number}',
                            self.installation, settings)
            server.port = next(ports)
            server.data.mkdir()
            (server.data / 'myid').write_text(f'{number}\n')
            servers.append(server)
        return tuple(servers)

    @staticmethod
    def _start(servers: list[Apache] | tuple[Apache, ...],
               timeout: float) -> None:
        for server in servers:
            server.spawn()
        for server in servers:
            server.wait_ready(timeout)
