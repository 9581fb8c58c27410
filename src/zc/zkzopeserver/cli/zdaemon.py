"""zdaemon's manager: a process that runs a server in the background.

It starts the server, starts it again when it dies, and listens on a unix
socket for commands of one line.  zdaemon is optional, and is imported in the
manager's own process alone.
"""
from __future__ import annotations

import ast
import contextlib
import dataclasses
import errno
import fcntl
import importlib.util
import math
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from collections.abc import Sequence

from zc.zkzopeserver import locks
from zc.zkzopeserver.cli.instance import MANAGER_WORD
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import StartError

# A server that dies is started again after 1, 2, ... and at most this many
# seconds, without end: when ZooKeeper comes back, so does the server.
BACKOFF_LIMIT_S = 10

# The exit statuses that end the manager: 0 is a stop that was asked for, 2 an
# error that only a person can mend.
FINAL_STATUSES = '0,2'

CONFIGURATION = """\
<runner>
  program none
  backoff-limit {backoff_limit}
  forever on
  exit-codes {final}
  stop-timeout {stop_timeout}
</runner>
<eventlog>
  level info
  <logfile>
    path {log}
    dateformat %Y-%m-%d %H:%M:%S
    format %(asctime)s %(process)d %(levelname)s zdaemon %(message)s
  </logfile>
</eventlog>
"""

# How long a manager may take to answer a command, and how long its answer may
# be: it repeats the command line of the server.
ANSWER_S = 5.0
ANSWER_BYTES = 4 * 1024 * 1024

# How long a manager may take to go to the background, or to fail.
LAUNCH_S = 60.0

RETRY_S = 0.02

# The umask of a server in a deployment, as the recipe's units have it.
DEPLOYMENT_UMASK = 0o027

# The longest path of a unix socket, in bytes: 107 (unix(7), without the final
# null byte), less what zdaemon appends for a while, a dot and its pid.
LONGEST_SOCKET = 107 - 8

# The environment variable that `start` sets for the manager's process.
VARIABLE = 'ZC_ZKZOPESERVER_ZDAEMON'

_numbers = re.compile(rb'^(\w+)=(\d+)', re.MULTILINE).findall


class NotAllowed(StartError):
    """A manager may listen, and this user is not allowed to connect."""


@dataclasses.dataclass(frozen=True)
class Manager:
    """A manager that answers: its `pid`, and that of its `server`.

    `server` is 0 while the manager waits before it starts the server again,
    and when it is about to end.  `overrides` are the options of the command
    line that it starts the server with.  `is_stopping` is whether the
    manager was told to stop.
    """

    pid: int
    server: int
    overrides: tuple[tuple[str, str], ...] = ()
    is_stopping: bool = False


def find(path: str) -> Manager | None:
    """Return the manager that listens at `path`; None when there is none.

    StartError when something else listens there, or does not answer, or
    (NotAllowed) when this user is not allowed to connect.
    """
    answer = ask(path, 'status')
    if answer is None:
        return None
    numbers = {name.decode(): int(number)
               for name, number in _numbers(answer)}
    if 'manager' not in numbers or 'application' not in numbers:
        raise StartError(f'{path}: what listens there is no zdaemon')
    return Manager(numbers['manager'], numbers['application'],
                   _overrides(answer), numbers.get('should_be_up') == 0)


def _overrides(answer: bytes) -> tuple[tuple[str, str], ...]:
    """Return the -o options in a manager's answer, ((name, value), ...).

    They are those behind the last ``fg`` of the command that it runs.
    """
    match = re.search(rb'^args=(.*)$', answer, re.MULTILINE)
    try:
        words = ast.literal_eval(match[1].decode()) if match else []
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ()
    if not isinstance(words, list) or 'fg' not in words:
        return ()
    options = words[len(words) - words[::-1].index('fg'):]
    pairs = [word.partition('=') for word in options[1::2]]
    return tuple((name, value) for name, _, value in pairs)


def ask(path: str, command: str) -> bytes | None:
    """Send a manager a command; return its answer.

    None when no process listens at `path`.  StartError when it does not
    answer.
    """
    deadline = time.monotonic() + ANSWER_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(ANSWER_S)
        try:
            _connect(sock, path, deadline)
            sock.sendall(command.encode() + b'\n')
            return _receive(sock, path, deadline)
        except TimeoutError:
            raise StartError(f'{path}: the manager does not answer within'
                             f' {ANSWER_S:g} s') from None
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR,
                               errno.ECONNREFUSED, errno.ECONNRESET,
                               errno.EPIPE):
                return None
            if error.errno is None:
                # The path is too long for a socket, so that none is there.
                return None
            kind = (NotAllowed if isinstance(error, PermissionError)
                    else StartError)
            raise kind(f'{path}: {error.strerror}') from None


def _receive(sock: socket.socket, path: str, deadline: float) -> bytes:
    """Return an answer up to its end; StartError for one that is too long.

    TimeoutError at the deadline, whatever has arrived.
    """
    answer = bytearray()
    while (left_s := deadline - time.monotonic()) > 0:
        sock.settimeout(left_s)
        piece = sock.recv(4096)
        if not piece:
            return bytes(answer)
        answer += piece
        if len(answer) > ANSWER_BYTES:
            raise StartError(f'{path}: what listens there is no zdaemon: it'
                             f' answers with more than {ANSWER_BYTES} bytes')
    raise TimeoutError


def _connect(sock: socket.socket, path: str, deadline: float) -> None:
    """Connect; wait while other clients fill the manager's backlog.

    A socket with a time-out does not wait for that itself: connect(2) says
    EAGAIN.
    """
    while True:
        try:
            return sock.connect(path)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(RETRY_S)


def launch(instance: Instance, stop_timeout_s: float) -> bool:
    """Start a manager, and with it the server; False when one was there.

    A lock on the ini keeps two launches apart.
    """
    check(instance)
    with locked(instance.ini):
        if find(instance.socket) is not None:
            return False
        with contextlib.suppress(FileNotFoundError):
            # A manager that was killed has left it.
            os.unlink(instance.socket)
        start(instance, stop_timeout_s)
        return True


def check(instance: Instance) -> None:
    """Raise ConfigurationError for what zdaemon would fail at silently."""
    if VARIABLE in os.environ:
        # This process should have become the manager.  Instead it is about
        # to start another one, which would do the same.
        raise ConfigurationError(
            'the start script does not heed its command line, so that it'
            ' cannot be made to run zdaemon')
    if importlib.util.find_spec('zdaemon') is None:
        raise ConfigurationError(
            '`start` needs zdaemon: put `daemon = true` into the section, or'
            ' zc.zkzopeserver[daemon] among the eggs; or serve in the'
            ' foreground (`fg`)')
    if len(os.fsencode(instance.socket)) > LONGEST_SOCKET:
        raise ConfigurationError(
            f'the path of the socket, {instance.socket}, is too long: at most'
            f' {LONGEST_SOCKET} bytes are possible; a deployment with a'
            ' run-directory can place it elsewhere')
    for path in instance.socket, instance.transcript:
        folder = os.path.dirname(path)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f'{folder}: ' + ('not allowed to write there'
                                 if os.path.isdir(folder)
                                 else 'there is no such directory'))
    try:
        # Nor is a FIFO waited for.
        os.close(os.open(instance.transcript, os.O_WRONLY | os.O_APPEND
                         | os.O_CREAT | os.O_NONBLOCK, 0o666))
    except OSError as error:
        raise ConfigurationError(
            f'cannot write {instance.transcript}: {error.strerror}') from None


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold an exclusive lock on a file, where the file system has locks.

    StartError when another process has it for longer than a launch takes.
    Users who may only read the file do not keep it from us.
    """
    deadline = time.monotonic() + LAUNCH_S
    with open(path, 'rb') as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not locks.is_strangers(file.fileno()):
                    if time.monotonic() > deadline:
                        raise StartError(
                            f'{path}: another process has it locked for more'
                            f' than {LAUNCH_S:g} s') from None
                    time.sleep(RETRY_S)
                    continue
            except OSError:
                pass
            break
        yield


def start(instance: Instance, stop_timeout_s: float) -> None:
    """Start the manager's process; return once it is in the background.

    StartError with what it has written when it fails.  The process is this
    program again, as only that has zdaemon on its sys.path for certain.
    """
    umask, directory = surroundings(instance)
    done = subprocess.run(
        [*instance.program, MANAGER_WORD, '-C', '/dev/stdin',
         '-s', instance.socket, '-t', instance.transcript, '-m', oct(umask),
         *foreground(instance)],
        input=configuration(instance, stop_timeout_s).encode(),
        env={**os.environ, VARIABLE: '1'},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LAUNCH_S,
        cwd=directory)
    if done.returncode:
        text = done.stdout.decode(errors='replace').strip()
        raise StartError('zdaemon does not start:\n' + text)


def surroundings(instance: Instance) -> tuple[int, str | None]:
    """Return (umask, working directory) of the server.

    In a deployment they are those of the recipe's unit, so that it is the
    same who starts it, and where.  Elsewhere they are the caller's; None
    stands for its directory.
    """
    if instance.user:
        return DEPLOYMENT_UMASK, '/'
    umask = os.umask(0o022)
    os.umask(umask)
    return umask, None if os.access('.', os.X_OK) else '/'


def foreground(instance: Instance) -> list[str]:
    """Return the command that runs the server in the foreground."""
    return [*instance.program, 'fg', *(
        word for name, value in instance.overrides.items()
        for word in ('-o', f'{name}={value}'))]


def configuration(instance: Instance, stop_timeout_s: float) -> str:
    """Return the settings that zdaemon takes from a file alone."""
    return CONFIGURATION.format(
        backoff_limit=BACKOFF_LIMIT_S, final=FINAL_STATUSES,
        stop_timeout=math.ceil(stop_timeout_s),
        log=instance.transcript.replace('$', '$$'))


def manage(arguments: Sequence[str]) -> int:
    """Be the manager; return, in the background, when all is over."""
    from zdaemon import zdrun
    os.environ.pop(VARIABLE, None)
    zdrun.main(list(arguments))
    return 0


def wait_gone(path: str, timeout_s: float) -> bool:
    """Wait until no manager listens any more; return whether that is so."""
    deadline = time.monotonic() + timeout_s
    while find(path) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(RETRY_S)
    return True
