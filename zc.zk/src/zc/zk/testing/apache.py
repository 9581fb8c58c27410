"""Apache: a real Apache ZooKeeper server for tests.

``python -m zc.zk.testing.apache`` fetches what it needs.
"""
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from zc.zk.testing.four_letter_words import four_letter_word
from zc.zk.testing.installation import Installation
from zc.zk.testing.installation import Unavailable
from zc.zk.testing.installation import find
from zc.zk.testing.installation import obtain
from zc.zk.testing.installation import parts_folder
from zc.zk.testing.process import ServerProcess

MAIN = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'

JVM = ('-Xmx64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1',
       '-Xshare:auto', '-Dzookeeper.jmx.log4j.disable=true',
       # Empty containers go as soon as those of the embedded server.
       '-Dznode.container.checkIntervalMs=6000',
       # For tests only: a power cut may lose acknowledged changes.
       '-Dzookeeper.forceSync=no')

#: Short ticks, so that tests can wait for sessions to expire. The shortest
#: session timeout is two ticks.
TICK_MS = 200
MAX_SESSION_TIMEOUT_MS = 60_000

#: Settings of zoo.cfg (ZooKeeper Administrator's Guide).
SETTINGS: dict[str, object] = {
    'tickTime': TICK_MS,
    'minSessionTimeout': 2 * TICK_MS,
    'maxSessionTimeout': MAX_SESSION_TIMEOUT_MS,
    'maxClientCnxns': 0,
    'admin.enableServer': 'false',
    '4lw.commands.whitelist': '*',
}


class Apache(ServerProcess):
    """An Apache ZooKeeper in a Java process; its data survives a restart.

    `folder`
        The folder for its data, log and zoo.cfg.
    `installation`
        The Java and the jars, by default those of `obtain`.
    `settings`
        Settings of zoo.cfg, which override SETTINGS.
    `jvm`
        More arguments of the Java virtual machine.
    """

    name = 'apache'

    def __init__(self, folder: str | os.PathLike,
                 installation: Installation | None = None,
                 settings: Mapping[str, object] | None = None,
                 jvm: tuple[str, ...] = (), host: str = '127.0.0.1') -> None:
        super().__init__(folder, host)
        self.installation = installation or obtain()
        self.settings = dict(settings or {})
        self.jvm = jvm

    @property
    def data(self) -> Path:
        """The folder of snapshots and transaction logs."""
        return self.folder / 'data'

    def command(self) -> list[str]:
        """Write zoo.cfg; return the command of the server."""
        self.data.mkdir(exist_ok=True)
        settings = {**SETTINGS, 'dataDir': self.data,
                    'clientPortAddress': self.host, 'clientPort': self.port,
                    **self.settings}
        configuration = self.folder / 'zoo.cfg'
        configuration.write_text(
            ''.join(f'{name}={value}\n' for name, value in settings.items()))
        return [str(self.installation.java), *JVM, *self.jvm,
                '-cp', os.pathsep.join(map(str, self.installation.classpath)),
                MAIN, str(configuration)]

    def is_ready(self) -> bool:
        """Return whether the server serves, and is not another on its port.

        Neither a connection nor ``ruok`` can tell: a starting server accepts
        a connection that it never answers.
        """
        return bool(self.mode()) and str(self.data) in self.ask('conf')

    def mode(self) -> str:
        """Return standalone, leader or follower; empty while it starts."""
        for line in self.ask('srvr').splitlines():
            name, _, value = line.partition(':')
            if name == 'Mode':
                return value.strip()
        return ''

    def ask(self, word: str, timeout: float = .25) -> str:
        """Return the answer to a four-letter word; empty without one.

        `timeout` is in seconds.
        """
        return four_letter_word(self.address, word, timeout)


def command() -> str:
    """Return the shell command that fetches what is missing."""
    # A buildout's interpreter, which can import zc.zk, is beside its scripts.
    buildouts = Path(sys.argv[0]).with_name('py')
    python = (os.path.relpath(buildouts) if buildouts.is_file()
              else sys.executable)
    return f'{python} -m zc.zk.testing.apache'


def main() -> int:
    """Fetch what is missing, print where it is; return the exit status."""
    try:
        if not (installation := find()):
            print(f'fetching Apache ZooKeeper into {parts_folder()} ...',
                  flush=True)
            installation = obtain()
    except Unavailable as error:
        print(f'no Apache ZooKeeper: {error}', file=sys.stderr)
        return 1
    print(f'Apache ZooKeeper is in {installation}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
