"""The embedded server in a process of its own, for tests."""
import os
import socket
import sys
from collections.abc import Mapping

from zc.zk.testing.process import ServerProcess


class Embedded(ServerProcess):
    """``zookeeper_embedded`` as a process; its persistent nodes survive."""

    name = 'embedded'

    def command(self) -> list[str]:
        """Return the command of its console script."""
        return [sys.executable, '-m', 'zc.zk.embedded.script',
                '--port', str(self.port),
                '--data', str(self.folder / 'data')]

    def environment(self) -> Mapping[str, str]:
        """Give it our import path, which a buildout sets in its scripts."""
        return {**os.environ, 'PYTHONUNBUFFERED': '1',
                'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}

    def is_ready(self) -> bool:
        """Tell whether it listens and serves."""
        if str(self.port) not in self.log_tail():
            return False
        try:
            socket.create_connection(self.address, 1).close()
        except OSError:
            return False
        return True
