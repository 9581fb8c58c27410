"""Measure export and import of large trees, beside zc.zk 2, in the same run.

zc.zk 2 read one node after the other. This script makes the same calls by
kazoo: for an export, getChildren and getData of each node; for an import,
exists, create and getChildren.

Usage: python bench/tree.py [--nodes 20000] [--large 200000] [--rounds 3]

Starts an Apache ZooKeeper on a loopback port, and removes it at the end. The
ways are measured in turns. Figures are medians, in seconds. CPU seconds are
those of this process and of ZooKeeper together. They say more than wall clock
on a busy machine.
"""
import argparse
import contextlib
import datetime
import functools
import gc
import json
import os
import platform
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

import psutil
from zc.zk.client import ZooKeeper
from zc.zk.sync import diff
from zc.zk.testing.apache import Apache
from zc.zk.tree import Node
from zc.zk.tree import format_tree
from zc.zk.tree import parse_tree

OPEN = None  # kazoo's default ACL: everyone may do everything


def make_tree(nodes: int) -> str:
    """Return a text of services, each 20 nodes with 18 providers."""
    top = Node()
    for number in range(nodes // 20):
        providers = {
            name: Node(name, {'pid': 1000 + number, 'monitor': name})
            for name in (f'10.0.{number % 250}.{host}:8080'
                         for host in range(18))}
        name = f'service{number:05}'
        top.children[name] = Node(name, {
            'type': 'web', 'threads': 4, 'favorite_color': 'red',
            'database ->': f'/databases/{number}',
        }, {'providers': Node('providers', {}, providers)})
    return format_tree(top)


def by_hand(text: str) -> str:
    """Return the same tree as if it were written by hand.

    It is not sorted, indented by four, with comments and blank lines.
    """
    chance = random.Random(1)
    lines = ['# our services', '']

    def add(node: Node, indent: str) -> None:
        told = [f'{name} {value}' if name.endswith(' ->') else
                f'{name} = {value!r}'
                + ('  # why' if chance.random() < .03 else '')
                for name, value in node.properties.items()]
        chance.shuffle(told)
        lines.extend(indent + line for line in told)
        for name in chance.sample(list(node.children), len(node.children)):
            if chance.random() < .05:
                lines.extend(('', f'{indent}# a comment'))
            lines.append(f'{indent}/{name}')
            add(node.children[name], indent + '    ')

    add(parse_tree(text), '')
    return '\n'.join(lines)


def export_one_by_one(client, path: str) -> str:
    """Export a tree as zc.zk 2 did."""
    lines = []

    def export(path: str, indent: str) -> None:
        children = client.get_children(path)
        data, _ = client.get(path)
        properties = json.loads(data) if data else {}
        kind = properties.pop('type', '')
        lines.append(f'{indent}/{path.rpartition("/")[2]}'
                     + (f' : {kind}' if kind else ''))
        indent += '  '
        for name, value in sorted(properties.items()):
            lines.append(f'{indent}{name} {value}' if name.endswith(' ->')
                         else f'{indent}{name} = {value!r}')
        for name in sorted(children):
            export(f'{path}/{name}', indent)

    export(path, '')
    return '\n'.join(lines)


def import_one_by_one(client, text: str, path: str) -> None:
    """Import a tree as zc.zk 2 did."""
    def add(node: Node, path: str) -> None:
        for name, child in sorted(node.children.items()):
            child_path = f'{path}/{name}'
            data = json.dumps(child.properties).encode()
            if client.exists(child_path):
                client.set(child_path, data)
                client.get_acls(child_path)
            else:
                client.create(child_path, data, OPEN)
            client.get_children(child_path)
            add(child, child_path)

    add(parse_tree(text), path)


class Cost(NamedTuple):
    """The cost of a call, in seconds."""

    wall: float
    cpu: float


class Bench:
    """Measures on one server; each import gets a path of its own."""

    def __init__(self, zk: ZooKeeper) -> None:
        self.zk = zk
        self.paths = 0
        self.processes = [
            psutil.Process(), *psutil.Process().children(recursive=True)]

    def measure(self, function: Callable) -> Cost:
        """Call a function; return its cost."""
        gc.collect()
        cpu, wall = self.cpu(), time.perf_counter()
        function()
        return Cost(time.perf_counter() - wall, self.cpu() - cpu)

    def cpu(self) -> float:
        """Return the CPU seconds of this process and of ZooKeeper so far."""
        return sum(sum(process.cpu_times()[:2])
                   for process in self.processes)

    def new_path(self) -> str:
        """Create an empty node; return its path."""
        self.paths += 1
        return self.zk.create(f'/tree{self.paths}', b'')

    def ways(self, text: str, path: str) -> dict[str, Callable]:
        """Return, by name, the functions to measure; `path` has the tree."""
        zk = self.zk
        hand = by_hand(text)
        return {
            'export': lambda: zk.export_tree(path),
            'import': lambda: zk.import_tree(text, self.new_path()),
            'import, no change': lambda: zk.import_tree(
                text, path, trim=True),
            'the same, by hand': lambda: zk.import_tree(
                hand, path, trim=True),
        }

    def originals(self, text: str, path: str) -> dict[str, Callable]:
        """Return, by name, the same functions as zc.zk 2 did them."""
        client = self.zk.client
        return {
            'export': lambda: export_one_by_one(client, path),
            'import': lambda: import_one_by_one(
                client, text, self.new_path()),
            'import, no change': lambda: import_one_by_one(
                client, text, path),
            'the same, by hand': lambda: import_one_by_one(
                client, text, path),
        }


def compare(bench: Bench, nodes: int, rounds: int) -> None:
    """Print this zc.zk beside zc.zk 2."""
    text = make_tree(nodes)
    path = bench.new_path()
    bench.zk.import_tree(text, path)
    ours = bench.ways(text, path)
    theirs = bench.originals(text, path)
    for _ in range(3):  # until Java has compiled its hot code
        for function in ours.values():
            function()
    for name in ours:
        mine, others = [], []
        for _ in range(rounds):
            mine += [bench.measure(ours[name]) for _ in range(3)]
            others.append(bench.measure(theirs[name]))
        row(nodes, name, median(mine), median(others))


def median(costs: list[Cost]) -> Cost:
    """Return the medians of wall clock and of CPU."""
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def large(bench: Bench, nodes: int) -> None:
    """Print this zc.zk alone, and its memory."""
    text = make_tree(nodes)
    path = bench.new_path()
    before = peak()
    bench.zk.import_tree(text, path)
    for name, function in bench.ways(text, path).items():
        row(nodes, name, bench.measure(function))
    print(f'memory: {(peak() - before) / 1e6:.0f} MB more at the peak, for'
          f' {len(text) / 1e6:.0f} MB of text')
    wanted, live = parse_tree(text), parse_tree(text)
    for name, other in (('plan in memory, the same', live),
                        ('plan in memory, all to add', Node())):
        row(nodes, name, bench.measure(
            functools.partial(diff.plan, wanted, other)))
    for node in live.children.values():
        node.properties['threads'] = 5
    row(nodes, 'plan in memory, different',
        bench.measure(lambda: diff.plan(wanted, live)))


def peak() -> int:
    """Return the peak memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def row(nodes: int, name: str, ours: Cost,
        theirs: Cost | None = None) -> None:
    """Print a line of the table."""
    line = f'{nodes:8,}  {name:26}  {ours.wall:7.3f}  {ours.cpu:7.2f}'
    if theirs is not None:
        line += (f'  {theirs.wall:7.2f}  {theirs.cpu:7.2f}'
                 f'  {theirs.wall / ours.wall:6.0f} x'
                 f'  {theirs.cpu / ours.cpu:6.0f} x')
    print(line, flush=True)


@contextlib.contextmanager
def server() -> Iterator[ZooKeeper]:
    """Yield a connection to a new ZooKeeper."""
    with tempfile.TemporaryDirectory() as folder:
        apache = Apache(folder, settings={'tickTime': 2000},
                        jvm=('-Xmx2g', '-XX:-UseSerialGC',
                             '-XX:TieredStopAtLevel=4'))
        with apache, ZooKeeper(apache.connection_string, 30) as zk:
            yield zk


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--nodes', type=int, default=20000)
    parser.add_argument('--large', type=int, default=200000,
                        help='0: leave out')
    parser.add_argument('--rounds', type=int, default=3)
    options = parser.parse_args()
    print(f'{datetime.date.today()}, Python {platform.python_version()},'
          f' {platform.machine()}, {os.cpu_count()} cores, load'
          f' {os.getloadavg()[0]:.1f}')
    print(f'{"":36}  {"zc.zk 3":>16}  {"one by one":>16}  {"gain":>8}')
    print(f'{"nodes":>8}  {"":26}' + f'  {"wall":>7}  {"CPU":>7}' * 2
          + f'  {"wall":>8}  {"CPU":>8}')
    with server() as zk:
        bench = Bench(zk)
        if options.nodes:
            compare(bench, options.nodes, options.rounds)
        if options.large:
            large(bench, options.large)


if __name__ == '__main__':
    main()
