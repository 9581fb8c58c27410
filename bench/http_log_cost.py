"""The CPU of the access log, in one process that has it now and then.

``bin/py bench/http_log_cost.py`` runs zope.server in its threads, wrk beside
it, and takes the access log away and puts it back, period after period.  It
prints the CPU of a request without and with it, and the mean of the
differences with its standard error.

One process is a little faster than the next of the same program; so both are
measured in the same one.  With ``chrt -r 1 bin/py ...`` other programs wait
meanwhile.
"""
from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--connections', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--browser', action='store_true',
                        help="send a browser's head")
    arguments = parser.parse_args()
    print(http_load.conditions(1, arguments.rounds))
    with tempfile.TemporaryDirectory() as folder:
        server = Server(http_subjects.application, host='127.0.0.1',
                        threads=arguments.threads,
                        access_log=str(Path(folder) / 'access.log'))
        server.start()
        shared = server.engine.shared
        log = shared.access_log
        command = ['wrk', '-t1', f'-c{arguments.connections}', '-d1h',
                   f'http://127.0.0.1:{server.address[1]}/hello']
        if arguments.browser:
            for name, value in http_load.BROWSER.items():
                command += ['-H', f'{name}: {value}']
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        without, with_log = [], []
        try:
            for _ in range(arguments.rounds):
                shared.access_log = None
                without.append(period(server))
                shared.access_log = log
                with_log.append(period(server))
        finally:
            shared.access_log = log
            client.kill()
            client.wait()
            server.close()
    more = [after - before for before, after in zip(
        without, with_log, strict=True)]
    middle = statistics.median(without)
    error = statistics.stdev(more) / math.sqrt(len(more))
    print(f'CPU a request {middle:.2f} us without,'
          f' {statistics.median(with_log):.2f} us with the access log:'
          f' {statistics.mean(more):+.2f} us +- {error:.2f},'
          f' {1 + statistics.mean(more) / middle:.3f} times'
          f' +- {error / middle:.3f}')


if __name__ == '__main__':
    main()
