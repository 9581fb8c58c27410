"""A real Apache ZooKeeper server for tests.

``python -m zc.zk.testing.apache`` fetches what is needed to run one.
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
       # For tests only: a power cut may lose what was acknowledged.
       '-Dzookeeper.forceSync=no')

#: Short ticks, so that tests can wait for sessions to expire.
SETTINGS = {
    'tickTime': 200,
    'minSessionTimeout': 400,
    'maxSessionTimeout': 60000,
    'maxClientCnxns': 0,
    'admin.enableServer': 'false',
    '4lw.commands.whitelist': '*',
}


class Apache(ServerProcess):
    """An Apache ZooKeeper in a Java process; what it is told survives.

    ``settings`` adds to zoo.cfg or overrides what is there, ``jvm`` adds
    arguments of the Java virtual machine.
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
        """The folder of its snapshots and transaction logs."""
        return self.folder / 'data'

    def command(self) -> list[str]:
        """Write zoo.cfg and return the command that reads it."""
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
        """Tell whether it serves, and is not another server on our port.

        A connection that comes too early is accepted and never answered, so
        neither that nor ``ruok`` says anything.
        """
        return bool(self.mode()) and str(self.data) in self.ask('conf')

    def mode(self) -> str:
        """Return standalone, leader or follower; empty while not serving."""
        for line in self.ask('srvr').splitlines():
            name, _, value = line.partition(':')
            if name == 'Mode':
                return value.strip()
        return ''

    def ask(self, word: str, timeout: float = .25) -> str:
        """Return the answer to a four-letter word, empty when there is none.
        """
        return four_letter_word(self.address, word, timeout)


def command() -> str:
    """Return the command that fetches what is missing, as one would type it.
    """
    # A buildout's interpreter, which sees zc.zk, lies beside its scripts.
    buildouts = Path(sys.argv[0]).with_name('py')
    python = (os.path.relpath(buildouts) if buildouts.is_file()
              else sys.executable)
    return f'{python} -m zc.zk.testing.apache'


def main() -> int:
    """Fetch what is missing and say what there is."""
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
