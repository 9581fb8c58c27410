"""1,000 servers for bench/follow.py: the first list, a change, and memory.

Usage: python bench/follow_scale.py [CHANGES]

A change replaces one node by another, in one transaction. "CPU" is that of the
whole follower, with its session, for each change that its file has shown.
"""
from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'zc.zk' / 'tests'))

import psutil
import zc.zk
from zc.zk.testing.development import Embedded
from zc.zk.testing.waiting import wait_for
from zc_zk_support.following import Follower
from zc_zk_support.proxies import PROXIES
from zc_zk_support.proxies import follow_arguments

PATH = '/cms/providers'
SERVERS = 1000
FEW_CHANGES = 30


class Bench:
    """Nodes of 1,000 servers, and a follower of them."""

    def __init__(self, format: str, folder: Path,
                 stack: contextlib.ExitStack) -> None:
        server = stack.enter_context(Embedded(folder / 'zookeeper'))
        self.zk = stack.enter_context(
            zc.zk.ZooKeeper(server.connection_string, 20.))
        self.zk.client.ensure_path(PATH)
        for number in range(SERVERS):
            self.zk.client.create_async(_node(number), b'{"pid": 1}')
        wait_for(lambda: len(self.zk.get_children(PATH)) == SERVERS)
        proxy = PROXIES[format](folder / 'proxy')
        proxy.configure()
        self.file = proxy.file
        if format == 'nginx':  # it does not start without an upstream
            self.file.write_text('upstream cms { server 127.0.0.1:1; }\n')
        if format != 'envoy':
            proxy.start()
            stack.callback(proxy.stop)
        self._changes = 0
        began = time.monotonic()
        follower = Follower(
            folder, server.connection_string, PATH,
            *follow_arguments(format, proxy), '--session-timeout', '20')
        stack.callback(follower.kill)
        self.process = psutil.Process(follower.process.pid)
        wait_for(lambda: follower.log().count('1000 servers'), 60,
                 follower.log, .002)
        self.first_s = time.monotonic() - began
        self.log = follower.log

    def change(self) -> None:
        """Replace a node; return when the file has the new one."""
        old, new = self._changes, self._changes + SERVERS
        self._changes += 1
        before = self.file.stat().st_ino
        transaction = self.zk.client.transaction()
        transaction.delete(_node(old))
        transaction.create(_node(new), b'{"pid": 1}')
        transaction.commit()
        deadline = time.monotonic() + 30
        while self.file.stat().st_ino == before:
            assert time.monotonic() < deadline, self.log()
            time.sleep(.0005)

    def cpu_s(self) -> float:
        """Return the CPU that the follower has used; commands included."""
        times = self.process.cpu_times()
        return sum(times[:4])


def _node(number: int) -> str:
    number %= 60_000
    return f'{PATH}/127.0.0.{1 + number // 30000}:{2000 + number % 30000}'


def main(changes: int = 10_000) -> None:
    """Measure, and print."""
    for format in 'haproxy', 'nginx', 'envoy':
        with contextlib.ExitStack() as stack:
            # In memory, if that can be: a disk's fsync is not measured.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(
                dir='/dev/shm' if os.path.isdir('/dev/shm') else None)))
            bench = Bench(format, folder, stack)
            start_cpu = bench.cpu_s()
            for _ in range(FEW_CHANGES):
                bench.change()
            spent = 1000 * (bench.cpu_s() - start_cpu) / FEW_CHANGES
            print(f'{format:8} {SERVERS} servers: the first list after '
                  f'{bench.first_s:.2f} s ({start_cpu:.2f} s of CPU); a change'
                  f' {spent:.0f} ms of CPU', flush=True)
            if format == 'envoy':
                memory(bench, changes)


def memory(bench: Bench, changes: int) -> None:
    """Print the memory at the beginning, at some points, and at the end."""
    for part in range(5):
        mebibytes = bench.process.memory_info().rss / 2 ** 20
        print(f'    after {part * changes // 4:6,} changes: {mebibytes:.1f} '
              'MiB', flush=True)
        if part < 4:
            for _ in range(changes // 4):
                bench.change()


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
