"""The embedded server in a process of its own, for tests.

Run as a module, this is that process.
"""
import os
import signal
import sys
from collections.abc import Mapping

from zc.zk.embedded import Server
from zc.zk.testing.apache import SETTINGS
from zc.zk.testing.process import ServerProcess

READY = 'serving on'


class Embedded(ServerProcess):
    """The development server as a process; its persistent nodes survive.

    Ticks and session timeouts are those of the Apache ZooKeeper for tests.
    """

    name = 'embedded'

    def command(self) -> list[str]:
        """Return the command that runs this module."""
        return [sys.executable, '-m', __name__, self.host, str(self.port),
                str(self.folder / 'data')]

    def environment(self) -> Mapping[str, str]:
        """Give it our import path, which a buildout sets in its scripts."""
        return {**os.environ, 'PYTHONUNBUFFERED': '1',
                'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}

    def is_ready(self) -> bool:
        """Tell whether it has said so."""
        return f'{READY} {self.hosts}' in self.log_tail()


def main(host: str, port: str, data: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    # Blocked before there are threads, which inherit this: only sigwait
    # gets them.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with Server(int(port), host, data, tick=SETTINGS['tickTime'],
                max_session_timeout=SETTINGS['maxSessionTimeout']) as server:
        print(READY, server.connection_string)
        signal.sigwait(ends)


if __name__ == '__main__':
    main(*sys.argv[1:])
