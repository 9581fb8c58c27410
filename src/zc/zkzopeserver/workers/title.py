"""The title of this process in ``ps``; setproctitle, where it is installed."""
from __future__ import annotations

import os
import sys


def program() -> str:
    """The name of the script that this process runs."""
    return os.path.basename(sys.argv[0]) or 'zc.zkzopeserver'


def set_title(text: str) -> bool:
    """Show ``PROGRAM: text``; False where setproctitle is not installed."""
    try:
        import setproctitle
    except ImportError:
        return False
    setproctitle.setproctitle(f'{program()}: {text}')
    return True
