"""Coverage-guided fuzzing of the request parsing, with atheris.

``python -m zc.zkzopeserver.tests.fuzz_http FOLDER -max_total_time=600``: the
folder keeps what was found worth trying; it begins with the corpus of cases.
It ends with an error, and the bytes in a file ``crash-...``, at the first
disagreement with h11, at a difference that cutting the bytes makes, and at
any exception that is not a refusal.
"""
from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=['zc.zkzopeserver', 'h11']):
    from zc.zkzopeserver.tests.http_corpus import CASES
    from zc.zkzopeserver.tests.second_opinion import disagreement


def try_bytes(data: bytes) -> None:
    """Try some bytes; the first says where the others are cut."""
    if not data:
        return
    place, data = data[0], data[1:]
    found = disagreement(data, [data[:place], data[place:]])
    if found:
        raise AssertionError(found)


def fill(folder: Path) -> None:
    """Enter the cases into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        data = b'\x20' + b''.join(case.send)
        if len(data) < 4096:
            name = hashlib.sha256(data).hexdigest()
            folder.joinpath(name).write_bytes(data)


if __name__ == '__main__':
    fill(Path(sys.argv[1]))
    atheris.Setup(sys.argv, try_bytes)
    atheris.Fuzz()
