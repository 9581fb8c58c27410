"""What records child processes finds what coverage.py would find."""
import os
import subprocess
import sys
from pathlib import Path

import coverage
import pytest
from zkzopeserver_support import recorder

# Lines that threads, forks, and programs that follow another one run.
PROGRAM = '''
import os
import subprocess
import sys
import threading


def branch(number):
    while number > 0:
        if number % 2:
            number -= 1
        else:
            number //= 2
    return [each for each in range(3) if each]


def thread():
    return branch(1)


def child():
    try:
        return branch(2)
    finally:
        print('in the child')


def exits():
    os._exit(0)


def follows():
    print('another program')


if sys.argv[1:]:
    follows()
    sys.exit()
threads = [threading.Thread(target=thread) for _ in range(9)]
for each in threads:
    each.start()
for each in threads:
    each.join()
if not (pid := os.fork()):
    child()
    exits()
os.waitpid(pid, 0)
os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], 'again'])
'''

# Tracers of threads lose their last reference in the main thread: as a
# traceback of a thread is dropped, in a fork, and at the end of the process.
OUTLIVED = '''
import collections
import functools
import os
import queue
import sys
import threading


def fails():
    try:
        1 / 0
    except ZeroDivisionError as error:
        kept.append(error)


def takes(item):
    taken.set()


def is_traced():
    return sys.gettrace() is not None


kept = []
failing = threading.Thread(target=fails)
failing.start()
failing.join()
kept.clear()
assert is_traced()
# A thread that waits in C, called by C, after it has run Python: no frame of
# it has a reference.
taken = threading.Event()
items = queue.SimpleQueue()
waiting = threading.Thread(daemon=True)
waiting.run = functools.partial(
    collections.deque, map(takes, iter(items.get, None)))
waiting.start()
items.put(1)
taken.wait()
while sys._current_frames()[waiting.ident].f_code.co_name == 'takes':
    pass
if not (pid := os.fork()):
    os._exit(not is_traced())
assert os.waitpid(pid, 0)[1] == 0
'''

START = '''
import sys
sys.path.insert(0, {folder!r})
import recorder
del sys.path[0]
recorder.start({package!r}, ({source!r},))
import program
'''


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The path of a module to import."""
    monkeypatch.delenv(recorder.VARIABLE, raising=False)
    path = tmp_path / 'program.py'
    path.write_text(PROGRAM)
    return path


def run(program, code, **environ):
    # Without site, as that begins to record when the tests are measured.
    done = subprocess.run(
        [sys.executable, '-S', '-c', code], stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environ, 'PYTHONPATH': os.pathsep.join(
            [str(program.parent), *filter(None, sys.path)])})
    assert (done.returncode, done.stderr) == (0, '')


def start(source):
    return START.format(
        folder=str(Path(recorder.__file__).parent),
        package=str(Path(coverage.__file__).parent), source=str(source))


def test_it_records_what_coverage_py_measures(program, tmp_path):
    records = tmp_path / 'records'
    records.mkdir()
    run(program, start(program), **{recorder.VARIABLE: str(records)})
    # The first process, as it goes on as another program; its fork; the other.
    assert len(list(records.iterdir())) == 3
    configuration = tmp_path / 'coveragerc'
    configuration.write_text(
        '[run]\nbranch = true\nparallel = true\ncore = ctrace\n'
        f'include = {program}\npatch =\n  _exit\n  execv\n  fork\n')
    run(program, 'import coverage; coverage.process_startup();'
        ' import program', COVERAGE_PROCESS_START=str(configuration),
        COVERAGE_FILE=str(tmp_path / 'data'))
    measured = coverage.Coverage(str(tmp_path / 'data'),
                                 config_file=str(configuration))
    measured.combine([str(tmp_path)])
    data = measured.get_data()
    (name, found), = recorder.read(str(records)).items()
    # coverage.py begins anew after a fork, and so misses what the module that
    # has forked goes on with.
    fork = PROGRAM.splitlines().index('    child()')
    assert found == {*data.arcs(name), (fork, fork + 1), (fork + 1, fork + 2)}


def test_other_files_are_not_recorded(program, tmp_path):
    records = tmp_path / 'records'
    records.mkdir()
    run(program, start('/nowhere/'), **{recorder.VARIABLE: str(records)})
    assert recorder.read(str(records)) == {}


def test_threads_that_are_over_leave_others_traced(program, tmp_path):
    records = tmp_path / 'records'
    records.mkdir()
    program.write_text(OUTLIVED)
    run(program, start(program), **{recorder.VARIABLE: str(records)})


def test_a_process_without_the_variable_is_not_traced(program):
    run(program, START.format(
        folder=str(Path(recorder.__file__).parent),
        package='', source='').replace(
            'import program', 'assert sys.gettrace() is None'))


@pytest.mark.parametrize(('packed', 'lines'), [
    (7 | 8 << 28, (7, 8)), (7 | 8 << 28 | 1 << 56, (-7, 8)),
    (7 | 8 << 28 | 1 << 57, (7, -8))])
def test_pairs_of_lines(packed, lines):
    assert recorder.unpack(packed) == lines
