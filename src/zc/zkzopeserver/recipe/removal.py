"""Remove the files of a part, and see to the servers that lose theirs.

buildout uninstalls a part that is gone from its configuration, and a part
with changed options before it installs it again.
"""
from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from zc.zkzopeserver import locks
from zc.zkzopeserver.recipe import conflicts
from zc.zkzopeserver.recipe import files
from zc.zkzopeserver.recipe.eggs import refuse

# What a part notes for its removal: lines of (start script, pid file).
RUNNING = 'script-files', 'pid-files'


def uninstall(name: str, options: Any) -> None:
    """Remove the files of a part, and its directory if that is empty.

    Files that a part of this run writes stay, so that a server can start at
    any moment and a file that stays the same is not touched.  A server that
    runs without its files is stopped with ``stop-on-uninstall``; else a
    warning tells of it.  What killed processes of others have left in
    ZooKeeper is removed, as long as there is a script that can do it.
    """
    for script, path in _left(options):
        # Where `zc.zkzopeserver.cli.instance` has it.
        sessions = os.path.splitext(path)[0] + '.session'
        if pid := _pid(path):
            _leave(name, script, pid, options.get('stop-on-uninstall', ''))
        elif os.path.lexists(sessions):
            _forget(name, script, sessions)
    installed = options['__buildout_installed__'].split('\n')
    files.remove(path for path in installed
                 if not conflicts.is_claimed(path))
    files.remove_empty(options['location'])
    # buildout removes what this option lists after the return.
    options['__buildout_installed__'] = ''


def _left(options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (start script, pid file) of the servers that lose theirs."""
    scripts, pids = (options.get(key, '').split('\n') for key in RUNNING)
    for script, path in zip(scripts, pids, strict=False):
        if path and not conflicts.is_claimed(script):
            yield script, path


def _pid(path: str) -> int:
    """Return the pid of the process that holds a pid file; 0 for none."""
    try:
        with open(os.open(path, files.READ), 'rb') as file:
            if not locks.is_locked(file.fileno()):
                return 0
            text = file.read(20).strip()
            return (locks.record_holder(file.fileno())
                    or (int(text) if text.isdigit() else 0))
    except OSError:
        return 0


def _leave(name: str, script: str, pid: int, wanted: str) -> None:
    if wanted.strip().lower() in ('true', 'yes', 'on', '1'):
        done = subprocess.run([script, 'stop'], check=False)
        if done.returncode:
            refuse(name, [f'{script} stop: exit status {done.returncode}; the'
                          ' part stays, as its server still runs'])
        return
    logging.getLogger(name).warning(
        'The server of %s still runs, as pid %s, and is registered. Its files'
        ' are removed, so that no verb stops it: `kill %s` does.'
        ' (`stop-on-uninstall = true` stops a server before its files go.)',
        script, pid, pid)


def _forget(name: str, script: str, path: str) -> None:
    """End the sessions of processes that were killed, by their file."""
    try:
        done = subprocess.run([script, 'forget'], check=False)
        problem = done.returncode and f'exit status {done.returncode}'
    except OSError as error:
        problem = str(error.strerror)
    if problem:
        logging.getLogger(name).warning(
            '%s forget: %s. Nodes of processes that were killed stay in'
            ' ZooKeeper until their sessions time out, or until `forget %s`'
            ' of another server.', script, problem, path)
