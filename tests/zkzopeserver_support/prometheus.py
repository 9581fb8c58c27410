"""Prometheus itself, as tests run it (Debian's package prometheus)."""
from __future__ import annotations

import contextlib
import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zc.zk.testing.waiting import wait_for

from zkzopeserver_support.processes import Process

CONFIGURATION = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
- job_name: web
{}
"""


def tool(name: str) -> str:
    """Return the path of a program of the package; skip without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f'{name} is not installed (Debian: prometheus)')
    return found


class Prometheus:
    """A running Prometheus."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._url = wait_for(self._look, 60, lambda: process.output)
        wait_for(self._is_ready, 60, lambda: process.output)

    def _look(self) -> str:
        for line in self._process.output.splitlines():
            # Not the line before, which has the address as it was asked for.
            _, found, rest = line.partition('msg="Listening on"')
            if found:
                # Prometheus 3 has a component before it.
                return 'http://' + rest.partition(' address=')[2].split()[0]
        assert self._process.popen.poll() is None, self._process.output
        return ''

    def _is_ready(self) -> bool:
        """Return whether it answers; at first it says 503."""
        try:
            with urllib.request.urlopen(self._url + '/-/ready', timeout=20):
                return True
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            pass
        return False

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(self._url + path, timeout=20) as answer:
            return json.load(answer)['data']

    def targets(self) -> dict[str, str]:
        """Return the health of each target by its address."""
        return {target['discoveredLabels']['__address__']: target['health']
                for target in self._ask('/api/v1/targets')['activeTargets']}

    def _result(self, text: str) -> Any:
        return self._ask('/api/v1/query?' + urllib.parse.urlencode(
            {'query': text}))['result']

    def query(self, text: str) -> dict[str, float]:
        """Return the values of a query by instance."""
        return {each['metric'].get('instance', ''): float(each['value'][1])
                for each in self._result(text)}

    def values(self, text: str) -> list[float]:
        """Return the values of a query, of whatever labels."""
        return [float(each['value'][1]) for each in self._result(text)]

    def ups(self) -> dict[str, str]:
        """Return all scrapes by instance: a 1 for each that had an answer."""
        return {each['metric']['instance']: ''.join(
            value for _, value in each['values'])
            for each in self._result('up[1h]')}


@contextlib.contextmanager
def running(folder: Path, discovery: str) -> Iterator[Prometheus]:
    """Run Prometheus, which scrapes each second what `discovery` finds.

    `discovery` is lines of YAML, of a scrape configuration.
    """
    file = folder / 'prometheus.yml'
    file.write_text(CONFIGURATION.format(discovery))
    process = Process([
        tool('prometheus'), f'--config.file={file}',
        f'--storage.tsdb.path={folder / "data"}',
        '--web.listen-address=127.0.0.1:0'], folder)
    try:
        yield Prometheus(process)
    finally:
        process.close()
