"""Embedded: the embedded server in a process of its own, for tests.

Run as a module, this file is that process.
"""
import os
import signal
import sys
from collections.abc import Mapping

from zc.zk.embedded import Server
from zc.zk.testing.apache import MAX_SESSION_TIMEOUT_MS
from zc.zk.testing.apache import TICK_MS
from zc.zk.testing.process import ServerProcess

READY = 'serving on'


class Embedded(ServerProcess):
    """The embedded server in a process; its persistent nodes survive.

    The tick and the longest session timeout are those of `Apache`.
    """

    name = 'embedded'

    def command(self) -> list[str]:
        """Return the command that runs this module."""
        return [sys.executable, '-m', __name__, self.host, str(self.port),
                str(self.folder / 'data')]

    def environment(self) -> Mapping[str, str]:
        """Return the environment with this process's import path.

        A buildout sets that path in its scripts only.
        """
        return {**os.environ, 'PYTHONUNBUFFERED': '1',
                'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}

    def is_ready(self) -> bool:
        """Return whether the server has said that it is ready."""
        return f'{READY} {self.hosts}' in self.log_tail()


def main(host: str, port: str, data: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    # Blocked before there are threads, which inherit the mask: only sigwait
    # receives them.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with Server(int(port), host, data, tick=TICK_MS,
                max_session_timeout=MAX_SESSION_TIMEOUT_MS) as server:
        print(READY, server.connection_string)
        signal.sigwait(ends)


if __name__ == '__main__':
    main(*sys.argv[1:])
