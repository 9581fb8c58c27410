"""What doc/migration.txt says of the options of other servers."""
from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).parents[2] / 'doc' / 'migration.txt').read_text()


def entries(server: str) -> list[tuple[str, str]]:
    """Return (terms, definition) for each entry of a server's options."""
    section = TEXT.partition(f'\nOptions of {server}\n~~~')[2]
    section = re.split(r'\n\n.+\n(?:~~~|---)', section)[0]
    return re.findall(r'^(``.+)\n((?:    .+\n)+)', section + '\n',
                      re.MULTILINE)


def names(server: str) -> set[str]:
    """Return the names of another server's options that are there."""
    return {name for term, _ in entries(server)
            for name in re.findall('``(.+?)``', term)}
