"""The CPU of a part, in one process that has it now and then.

``bin/py bench/http_switched.py log`` runs zope.server in its threads, wrk
beside it, and takes the access log away and puts it back, period after period;
``metrics`` does so with the counting for metrics.  It prints the CPU of a
request without and with it, and the mean of the differences with its standard
error.

One process is a little faster than the next of the same program; so both are
measured in the same one.  With ``chrt -r 1 bin/py ...`` other programs wait
meanwhile.
"""
from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Python does so by itself, bin/py does not.
sys.path.insert(0, str(Path(__file__).parent))

import http_load
import http_subjects
from zope.server import Server

# Before a period: what came before is written then.
SETTLE_S = 0.15
PERIOD_S = 0.3


def period(server: Server) -> float:
    """Return the CPU of a request in a period, in microseconds."""
    time.sleep(SETTLE_S)
    # This thread sleeps meanwhile.
    cpu, served = time.process_time(), server.engine.threads.finished
    time.sleep(PERIOD_S)
    return 1e6 * (time.process_time() - cpu) / (
        server.engine.threads.finished - served)


def switch_log(server: Server, log: Any, is_on: bool) -> None:
    """Take the access log away, or put it back."""
    server.engine.shared.access_log = log if is_on else None


def switch_metrics(server: Server, log: Any, is_on: bool) -> None:
    """Have the connections count, or not."""
    for connection in server.engine.connections():
        connection.is_measured = is_on


# By name: the function, and the arguments of the server.
SWITCHES: dict[str, tuple[Callable[[Server, Any, bool], None],
                          dict[str, Any]]] = {
    'log': (switch_log, {'access_log': 'access.log'}),
    'metrics': (switch_metrics, {'measure': True}),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('part', choices=SWITCHES)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--connections', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--browser', action='store_true',
                        help="send a browser's head")
    arguments = parser.parse_args()
    print(http_load.conditions(1, arguments.rounds))
    switch, options = SWITCHES[arguments.part]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        server = Server(http_subjects.application, host='127.0.0.1',
                        threads=arguments.threads, **options)
        server.start()
        log = server.engine.shared.access_log
        command = ['wrk', '-t1', f'-c{arguments.connections}', '-d1h',
                   f'http://127.0.0.1:{server.address[1]}/hello']
        if arguments.browser:
            for name, value in http_load.BROWSER.items():
                command += ['-H', f'{name}: {value}']
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        without, with_part = [], []
        try:
            for _ in range(arguments.rounds):
                switch(server, log, False)
                without.append(period(server))
                switch(server, log, True)
                with_part.append(period(server))
        finally:
            switch(server, log, True)
            client.kill()
            client.wait()
            server.close()
    more = [after - before for before, after in zip(
        without, with_part, strict=True)]
    middle = statistics.median(without)
    error = statistics.stdev(more) / math.sqrt(len(more))
    print(f'CPU a request {middle:.2f} us without,'
          f' {statistics.median(with_part):.2f} us with {arguments.part}:'
          f' {statistics.mean(more):+.2f} us +- {error:.2f},'
          f' {1 + statistics.mean(more) / middle:.3f} times'
          f' +- {error / middle:.3f}')


if __name__ == '__main__':
    main()
