"""``zookeeper_follow`` as a process, for tests."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from zc.zk.testing.waiting import wait_for

PROGRAM = 'from zc.zk.scripts.zookeeper_follow import main; main()'


class Follower:
    """A process of the command; its log is a file, read by `log`."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self._log = folder / 'follow.log'
        with open(self._log, 'ab') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-c', PROGRAM, *arguments],
                stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, 'PYTHONPATH': ':'.join(sys.path),
                     **environ})

    def log(self) -> str:
        return self._log.read_text()

    def wait_for_log(self, text: str, count: int = 1) -> None:
        wait_for(lambda: self.log().count(text) >= count,
                 message=lambda: f'{text!r} in the log:\n{self.log()}')

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """End it by SIGTERM; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stdout and not self.process.stdout.closed:
            self.process.communicate()
