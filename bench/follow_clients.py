"""Clients of bench/follow.py: send requests to a proxy, and count.

Usage: follow_clients.py PORT CLIENTS keep|close

GET and POST by turns, each sent once. When standard input ends, writes a JSON
object: the number of requests, the failures with their times, and for each
half second the ports that have answered.
"""
import collections
import http.client
import json
import sys
import threading
import time

STEP_S = .5


def main() -> None:
    """Send until standard input ends."""
    port, clients, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    stopping = threading.Event()
    totals: list[int] = []
    failures: list[tuple[float, str]] = []
    ports: dict[int, set[str]] = collections.defaultdict(set)

    def client() -> None:
        connection = None
        count = 0
        while not stopping.is_set():
            count += 1
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(
                        '127.0.0.1', port, timeout=15)
                if count % 2:
                    connection.request('GET', '/')
                else:
                    connection.request('POST', '/', b'x' * 500)
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status == 200:
                    ports[int(time.time() / STEP_S)].add(text)
                else:
                    failures.append((time.time(), f'{answer.status}'))
                if answer.will_close or mode == 'close':
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                failures.append((time.time(), repr(error)))
                if connection is not None:
                    connection.close()
                connection = None
            time.sleep(.005)
        totals.append(count)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    print('sending', flush=True)
    sys.stdin.read()
    stopping.set()
    for thread in threads:
        thread.join()
    json.dump({'total': sum(totals), 'failures': failures,
               'ports': {step * STEP_S: sorted(found)
                         for step, found in ports.items()}}, sys.stdout)


if __name__ == '__main__':
    main()
