"""Coverage-guided fuzzing of the request parsing, with atheris.

CONTRIBUTING.txt says how to run it, and what comes of that.
"""
from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=['zope.server', 'h11']):
    from zope_server_support.corpus import CASES
    from zope_server_support.second_opinion import disagreement


def try_bytes(data: bytes) -> None:
    """Try some bytes; the first byte says where the rest is cut."""
    if not data:
        return
    place, data = data[0], data[1:]
    found = disagreement(data, [data[:place], data[place:]])
    if found:
        raise AssertionError(found)


def fill(folder: Path) -> None:
    """Write the cases of the corpus into a folder."""
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
