"""Run start scripts in processes: their output, their nodes, their ends."""
from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

import psutil
from kazoo.exceptions import NoNodeError
from zc.zk.testing.waiting import wait_for

from zc.zkzopeserver import locks
from zc.zkzopeserver.cli.processes import lives
from zkzopeserver_support.running import PATH

# Calls the entry point of start scripts, as a generated bin/NAME does.
START = ('import sys; from zc.zkzopeserver.start import main;'
         ' sys.exit(main(sys.argv[1], "web", sys.argv[2:]))')

# Sections of an ini that have each process log to a file.
LOGGING = '''
[loggers]
keys = root
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = file
[handler_file]
class = FileHandler
args = ('%(here)s/event.log',)
formatter = plain
[formatter_plain]
format = %(process)d %(message)s
'''


class Process:
    """A running start script, or any other command."""

    def __init__(self, command: list[str], folder: Path,
                 **environ: str) -> None:
        self._path = folder / f'output-{os.urandom(4).hex()}'
        with self._path.open('wb') as output:
            self.popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, env={**os.environ, **environ})
        self.pid = self.popen.pid

    @property
    def output(self) -> str:
        """What the process has written so far."""
        return self._path.read_text(errors='replace')

    def insist(self, number: int, words: str) -> None:
        """Send a signal again and again, until the output has the words."""
        wait_for(lambda: words in self.output or self.signal(number), 30,
                 lambda: f'{words!r}; it says:\n{self.output}')

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to the process."""
        self.popen.send_signal(number)

    def ended(self, timeout: float = 30) -> int:
        """Wait for the end of the process; return its exit status."""
        wait_for(lambda: self.popen.poll() is not None, timeout,
                 lambda: f'the end of the process; it says:\n{self.output}')
        return self.popen.returncode

    def stopped(self) -> int:
        """Send SIGTERM, wait for the end; return the exit status."""
        self.signal()
        return self.ended()

    def close(self) -> None:
        """Kill the process, if it still runs."""
        self.popen.kill()
        self.popen.wait()


def write_ini(folder: Path, zookeeper: str, app: str = (
        'call:zc.zkzopeserver.hello:make_hello'), **options: str) -> Path:
    """Write the ini of a server, as the recipe does; return its path."""
    options = {'zookeeper': zookeeper, 'path': PATH,
               'host': '127.0.0.1', 'deregister_wait': '0', **options}
    lines = ['[app:main]', f'use = {app}', '', '[server:main]',
             'use = egg:zc.zkzopeserver']
    lines += [f'{name} = ' + value.replace('\n', '\n  ')
              for name, value in options.items()]
    path = folder / 'web.ini'
    path.write_text('\n'.join(lines) + '\n')
    return path


@contextlib.contextmanager
def started(ini: Path, *arguments: str, before: Sequence[str] = (),
            **environ: str) -> Iterator[Process]:
    """Run the start script of an ini; kill its process at the end.

    `before` is a command that runs it, with its arguments.
    """
    environ.setdefault('PYTHONPATH', os.pathsep.join(filter(None, sys.path)))
    process = Process([*before, sys.executable, '-c', START, str(ini),
                       *arguments], ini.parent, **environ)
    try:
        yield process
    finally:
        process.close()


def registered(client, process: Process | None = None,
               path: str = PATH,
               count: int = 1) -> dict[str, dict]:
    """Wait for `count` providers; return their data by name."""
    def look():
        assert process is None or process.popen.poll() is None, (
            f'ended with {process.popen.returncode}:\n{process.output}')
        names = client.get_children(path)
        if len(names) != count:
            return None
        try:
            return {name: json.loads(client.get(f'{path}/{name}')[0])
                    for name in names}
        except NoNodeError:
            return None  # another one has come in its place

    return wait_for(look, 90, lambda: f'{count} nodes'
                    + (f'; it says:\n{process.output}' if process else ''))


def gone(client, path: str = PATH,
         timeout: float = 10) -> None:
    """Wait until there are no providers."""
    wait_for(lambda: not client.get_children(path), timeout,
             'the nodes to go')


def asking(address: str, path: str = '/slow'
           ) -> tuple[threading.Thread, list]:
    """Send a request in a thread; return (thread, results) once it is sent.

    The list `results` gets (status, text of the body), or the exception.
    """
    results = []
    sent = threading.Event()

    def ask():
        connection = http.client.HTTPConnection(address, timeout=250)
        try:
            connection.request('GET', path)
            sent.set()
            response = connection.getresponse()
            results.append((response.status, response.read().decode()))
        except (OSError, http.client.HTTPException) as error:
            results.append(error)
        finally:
            connection.close()
            # It may have failed before: the results tell.
            sent.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert sent.wait(30), f'no request is sent to {address}'
    return thread, results


class Script:
    """``bin/web`` of an ini: run its verbs, each in a process of its own.

    `options` are given by -o to each.  `command` stands before the verb; by
    default it is a start script and the ini.  `close` ends what the verbs
    have left in the background.
    """

    def __init__(self, ini: Path, *options: str,
                 command: Sequence[str] = ()) -> None:
        self.ini = ini
        self.options = options
        self.command = command or ('-c', START, str(ini))
        self.environ = {**os.environ, 'PYTHONPATH': os.pathsep.join(
            filter(None, sys.path))}

    def extend_path(self, folder: Path) -> None:
        """Have the verbs from now on find modules in a folder as well."""
        self.environ['PYTHONPATH'] += os.pathsep + str(folder)

    def file(self, kind: str) -> Path:
        """Return the path of a file: ``pid``, ``sock`` or ``log``."""
        return self.ini.with_suffix('.' + kind)

    @property
    def pid(self) -> int:
        """The pid of the server, by its pid file."""
        return int(self.file('pid').read_text())

    def __call__(self, *arguments: str, status: int = 0,
                 cwd: Path | None = None) -> str:
        """Run a verb, which must end with `status`; return its output."""
        done = subprocess.run(
            [sys.executable, *self.command, *arguments,
             *(word for each in self.options for word in ('-o', each))],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self.environ, timeout=150,
            cwd=cwd, text=True, errors='replace')
        said = (f'{arguments} ended with {done.returncode}, not {status}:\n'
                f'{done.stdout}\n{self.log()}')
        assert done.returncode == status, said
        assert 'Traceback' not in done.stdout, said
        return done.stdout

    def log(self) -> str:
        """Return what was written in the background; '' when nothing was."""
        with contextlib.suppress(OSError):
            return self.file('log').read_text(errors='replace')
        return ''

    def processes(self) -> list[psutil.Process]:
        """Return the live processes of this ini, the managers first.

        They have the ini on their command line.  A server may have changed
        its title, so that one that has its pid file open counts as well: the
        number in the file alone may be that of any process.
        """
        found = [each for each in psutil.process_iter(['cmdline'])
                 if any(word.partition('#')[0] == str(self.ini)
                        for word in each.info['cmdline'] or ())]
        found.sort(key=lambda each: 'zdaemon' not in each.info['cmdline'])
        with contextlib.suppress(OSError, psutil.NoSuchProcess), \
                self.file('pid').open('rb') as file:
            pid = locks.record_holder(file.fileno())
            if pid and pid > 1 and locks.has_open(pid, file.fileno()):
                found.append(psutil.Process(pid))
        for process in list(found):
            with contextlib.suppress(psutil.NoSuchProcess):
                found += process.children(recursive=True)
        return [each for each in dict.fromkeys(found)
                if each.pid != os.getpid() and is_alive(each)]

    def close(self) -> None:
        """Kill the processes of this ini."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs, and not a later one of its pid."""
    return process.is_running() and lives(process.pid)


@contextlib.contextmanager
def script(ini: Path, *options: str) -> Iterator[Script]:
    """Yield ``bin/web`` of an ini; kill what it has left at the end."""
    made = Script(ini, *options)
    try:
        yield made
    finally:
        made.close()
