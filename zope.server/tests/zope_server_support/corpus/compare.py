"""The corpus against this server and against waitress, side by side.

Run it with ``python -m zope_server_support.corpus.compare``; with
``--all`` it also lists the cases that both answer as they should.  What this
server's tests demand is not always what HTTP demands: often a server may
accept a request or refuse it.
"""
from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator

from zope.server.server import Server

from zope_server_support.corpus import CASES
from zope_server_support.corpus import limits
from zope_server_support.corpus.application import Recorder
from zope_server_support.corpus.case import CLOSED
from zope_server_support.corpus.case import RESET
from zope_server_support.corpus.case import Case
from zope_server_support.corpus.running import Outcome
from zope_server_support.corpus.running import differences
from zope_server_support.corpus.running import run

SILENCE = 0.3
Address = tuple[str, int]


@contextlib.contextmanager
def ours(application: Callable) -> Iterator[Address]:
    """Run this server, with the limits of the corpus."""
    server = Server(application, host='127.0.0.1', threads=2,
                    **limits.SETTINGS)
    server.start()
    try:
        yield server.address
    finally:
        server.close()


@contextlib.contextmanager
def waitress(application: Callable) -> Iterator[Address]:
    """Run waitress, with what it has of these limits."""
    from waitress.server import create_server
    server = create_server(
        application, host='127.0.0.1', port=0, threads=2, map={},
        max_request_header_size=limits.SETTINGS['max_request_header_size'],
        max_request_body_size=limits.SETTINGS['max_request_body_size'])
    threading.Thread(target=server.run, daemon=True).start()
    yield '127.0.0.1', server.effective_port


SERVERS = ours, waitress


def lenient(case: Case, outcome: Outcome) -> Case:
    """Return the case as any server can be expected to answer it.

    Any error status counts for any other, and any end of the connection for
    any other.  Headers do not count.
    """
    statuses = tuple(
        given if wanted >= 400 <= given else wanted
        for given, wanted in zip(outcome.statuses, case.statuses,
                                 strict=False))
    if len(outcome.statuses) != len(case.statuses):
        statuses = case.statuses
    ends = case.ends
    if ends in (CLOSED, RESET) and outcome.ends in (CLOSED, RESET):
        ends = outcome.ends
    return dataclasses.replace(case, statuses=statuses, ends=ends, has=())


def verdict(case: Case, address: Address, recorder: Recorder) -> str:
    """Return what is wrong with the answers to a case."""
    try:
        outcome = run(case, address, recorder, SILENCE, is_patient=False)
        found = differences(lenient(case, outcome), outcome, recorder)
    except (OSError, ValueError, IndexError) as error:
        found = [f'unreadable: {error!r}']
    return '; '.join(found)


def main() -> None:
    """Print a line for each case, and the sums."""
    logging.disable()
    found: dict[str, list[str]] = {}
    for server in SERVERS:
        recorder = Recorder()
        with server(recorder) as address:
            found[server.__name__] = [
                verdict(case, address, recorder) for case in CASES]
    for number, case in enumerate(CASES):
        wrong = {name: one[number] for name, one in found.items()}
        if any(wrong.values()) or '--all' in sys.argv:
            print('  '.join(f'{name} {"OTHER" if text else "right"}'
                            for name, text in wrong.items())
                  + f'  {case.name}' + ' (severe)' * case.severe)
            for name, text in wrong.items():
                if text:
                    print(f'    {name}: {text[:200]}')
    print(f'\n{len(CASES)} cases')
    for name, texts in found.items():
        severe = sum(bool(text) and case.severe
                     for case, text in zip(CASES, texts, strict=True))
        print(f'{name} answers {sum(map(bool, texts))} in another way,'
              f' {severe} of them severely so')


if __name__ == '__main__':
    main()
