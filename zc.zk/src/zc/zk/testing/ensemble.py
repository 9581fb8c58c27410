"""A real ensemble of Apache ZooKeeper servers on one machine."""
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

#: In ticks: time to join a leader, and to be behind it.
LIMITS = {'initLimit': 50, 'syncLimit': 10}


class Ensemble:
    """Servers that elect a leader; three unless told otherwise.

    A context manager.  ``servers`` are all of them, each an ``Apache``.
    """

    name = 'apache'

    def __init__(self, folder: str | os.PathLike,
                 installation: Installation | None = None,
                 size: int = 3) -> None:
        self.folder = Path(folder)
        self.installation = installation or obtain()
        self.size = size
        self.servers: tuple[Apache, ...] = ()
        #: A path that is appended to the connection string.
        self.chroot = ''

    @property
    def hosts(self) -> str:
        """``HOST:PORT`` of each, with commas between."""
        return ','.join(server.hosts for server in self.servers)

    @property
    def connection_string(self) -> str:
        """Hosts and chroot."""
        return self.hosts + self.chroot

    @property
    def version(self) -> tuple[int, ...]:
        """As the running servers tell it, for example ``(3, 9, 6)``."""
        return self.servers[0].version

    def start(self, timeout: float = 60) -> None:
        """Start them all; return when each leads or follows."""
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
        """Bring them all back on the same ports with the same data."""
        self.stop()
        self._start(self.servers, timeout)

    def stop(self) -> None:
        """End them all at once; what they acknowledged stays."""
        for server in self.servers:
            server.kill()

    close = stop

    def heal(self, timeout: float = 60) -> None:
        """Bring the dead and the paused back, and wait for all."""
        for server in self.servers:
            if server.is_paused:
                # A leader that was away needs seconds to see that it is none
                # any more; a new process is quicker.
                server.kill()
        dead = [server for server in self.servers if not server.is_running()]
        self._start(dead, timeout)
        for server in self.servers:
            server.wait_ready(timeout)

    @property
    def leader(self) -> Apache:
        """Who leads now; waits for the end of an election."""
        return wait_for(self._find_leader, 30, 'the ensemble to have a leader')

    @property
    def followers(self) -> tuple[Apache, ...]:
        """Who follows now."""
        return tuple(server for server in self.servers
                     if server.mode() == 'follower')

    def kill_leader(self) -> Apache:
        """Kill who leads, and return that server."""
        leader = self.leader
        leader.kill()
        return leader

    def pause_leader(self) -> Apache:
        """Make who leads hang, and return that server."""
        leader = self.leader
        leader.pause()
        return leader

    def server_of(self, client: HasClientId) -> Apache:
        """Return the server that a KazooClient is connected to."""
        session = f'sid=0x{client.client_id[0]:x},'
        return wait_for(lambda: next(
            (server for server in self.servers
             if session in server.ask('cons')), None),
            message=f'a server to have the connection of {session}')

    def expire(self, client: HasClientId) -> None:
        """End the session of a KazooClient; return when that is done."""
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
        """Choose all ports; each server must know those of the others."""
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
