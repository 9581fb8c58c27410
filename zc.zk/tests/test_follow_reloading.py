"""Check and reload: whose fault it is, how often, and commands that hang."""
import os
import shutil
import sys
import time

import pytest
from zc.zk.follow import reloading
from zc.zk.follow.commands import Command
from zc.zk.follow.formats import FORMATS
from zc.zk.follow.outputfile import OutputFile
from zc.zk.follow.outputs import ReloadedFile
from zc.zk.follow.reloading import Reloader
from zc.zk.follow.upstream import Target
from zc.zk.follow.upstream import Upstream
from zc.zk.follow.workers import Workers
from zc.zk.testing.waiting import wait_for


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'cms.conf'


@pytest.fixture
def file(path):
    file = OutputFile(path)
    yield file
    file.close()


@pytest.fixture
def make(file, tmp_path):
    """A check that refuses the word bad, here and in foreign.conf."""
    (tmp_path / 'foreign.conf').touch()

    def make(interval=0., **options):
        return Reloader(
            file, Command(f'sh -c "cat {tmp_path}/*.conf; '
                          f'! cat {tmp_path}/*.conf | grep -q bad"'),
            Command(f'sh -c "cat {file.path} >> {tmp_path}/loaded"'),
            interval, **options)

    return make


def loaded(tmp_path):
    try:
        return (tmp_path / 'loaded').read_text().split()
    except FileNotFoundError:
        return []


def test_a_text_that_differs_is_checked_and_loaded(make, path, tmp_path):
    reloader = make()
    assert reloader.bring('one ')
    assert reloader.bring('one ')
    assert reloader.wake_at() is None
    assert reloader.bring('two ')
    assert loaded(tmp_path) == ['one', 'two']
    assert reloader.counts == {'ok': 2, 'failed': 0, 'checks': 0}


def test_the_first_text_is_loaded_even_if_the_file_has_it(make, path,
                                                          tmp_path):
    # A process that was killed may have written it, and loaded nothing.
    path.write_text('one ')
    assert make().bring('one ')
    assert loaded(tmp_path) == ['one']


def test_our_fault(make, path, tmp_path, caplog):
    reloader = make()
    assert reloader.bring('old ')
    assert not reloader.bring('bad ')
    assert path.read_text() == 'old '
    assert 'our list is refused, and the old one stays: bad' in caplog.text
    # The same list is not tried again.
    assert not reloader.bring('bad ')
    assert reloader.counts['checks'] == 1
    assert reloader.wake_at() is None
    assert reloader.bring('new ')
    assert loaded(tmp_path) == ['old', 'new']
    assert os.listdir(tmp_path).count('.cms.conf.old.tmp') == 0


def test_somebody_elses_fault(make, path, tmp_path, caplog):
    reloader = make()
    assert reloader.bring('old ')
    (tmp_path / 'foreign.conf').write_text('bad ')
    assert not reloader.bring('new ')
    assert path.read_text() == 'new '
    assert 'refused, with our old file as well; not reloaded' in caplog.text
    assert loaded(tmp_path) == ['old']
    assert reloader.wake_at() is not None
    # Further changes are written, and the check is repeated.
    assert not reloader.bring('newer ')
    assert path.read_text() == 'newer '
    (tmp_path / 'foreign.conf').write_text('mended ')
    caplog.set_level('INFO')
    assert reloader.bring('newer ')
    assert loaded(tmp_path) == ['old', 'newer']
    assert 'all is well again' in caplog.text


def test_our_fault_where_there_was_no_file(make, path):
    reloader = make()
    assert not reloader.bring('bad ')
    assert not path.exists()


def test_the_first_change_at_once_and_then_with_pauses(make, tmp_path):
    reloader = make(interval=30.)
    assert reloader.bring('one ')
    # A server is started and another one stopped: that is one change more.
    assert reloader.bring('two ')
    assert not reloader.bring('three ')
    assert not reloader.bring('four ')
    assert loaded(tmp_path) == ['one', 'two']
    assert 50 < reloader.wake_at() - time.monotonic() <= 60
    # Back to what is loaded.
    assert reloader.bring('two ')


class Clock:
    """The time of the module, which tests set."""

    def __init__(self, monkeypatch):
        self.now = 1000.
        monkeypatch.setattr(reloading.time, 'monotonic', lambda: self.now)


def upstream(*ports):
    return [Upstream('cms', '/cms/providers', tuple(
        Target(f'127.0.0.1:{port}', '127.0.0.1', port) for port in ports))]


def test_flapping_makes_few_reloads(make, monkeypatch):
    # One server comes and goes 40 times within 10 s.
    clock = Clock(monkeypatch)
    reloader = make(interval=.5)
    output = ReloadedFile(reloader, FORMATS['json'](''))
    output.apply(upstream(1))
    clock.now += 60
    for number in range(80):
        output.apply(upstream(1) if number % 2 else upstream(1, 2))
        clock.now += .125
    assert 9 <= reloader.counts['ok'] - 1 <= 11


def test_other_changes_do_not_wait_for_one_that_flaps(make, monkeypatch):
    clock = Clock(monkeypatch)
    reloader = make(interval=.5)
    output = ReloadedFile(reloader, FORMATS['json'](''))
    for number in range(5):
        output.apply(upstream(1) if number % 2 else upstream(1, 2))
        clock.now += .15
    # Two reloads at once, and the third one only when it has time.
    assert reloader.counts['ok'] == 2
    clock.now = 1001.1
    assert not output.apply(upstream(1, 2))
    assert output.apply(upstream(1, 2, 3))
    assert reloader.counts['ok'] == 3
    # A server that flaps no more is one as all others.
    clock.now += 20
    assert output.apply(upstream(1, 3))
    assert output.apply(upstream(1, 2, 3))


def test_a_rolling_restart_does_not_flap(make, monkeypatch):
    # Ten servers are stopped and started, at the same ports, one a second.
    clock = Clock(monkeypatch)
    reloader = make(interval=.5)
    output = ReloadedFile(reloader, FORMATS['json'](''))
    every = set(range(1, 11))
    output.apply(upstream(*every))
    clock.now += 60
    for port in every:
        assert output.apply(upstream(*(every - {port})))
        clock.now += .5
        assert output.apply(upstream(*every))
        clock.now += .5


def test_after_the_pause(make, tmp_path):
    reloader = make(interval=.2)
    assert reloader.bring('one ')
    assert reloader.bring('two ')
    assert not reloader.bring('three ')
    wait_for(lambda: reloader.bring('three '))
    assert loaded(tmp_path) == ['one', 'two', 'three']


def test_a_reload_that_fails_is_tried_again(file, tmp_path, caplog):
    reloader = Reloader(
        file, Command(''),
        Command(f'sh -c "echo no; test -e {tmp_path}/up"'), 0.)
    assert not reloader.bring('one')
    assert 'not reloaded: no' in caplog.text
    (tmp_path / 'up').touch()
    assert reloader.bring('one')
    assert reloader.counts == {'ok': 1, 'failed': 1, 'checks': 0}


def test_the_same_trouble_is_logged_once_a_minute(file, caplog):
    reloader = Reloader(file, Command(''), Command('false'), 0.)
    for _ in range(5):
        assert not reloader.bring('one')
    assert caplog.text.count('not reloaded') == 1


def test_a_full_disk(make, path, tmp_path, monkeypatch, caplog):
    reloader = make()
    assert reloader.bring('old ')

    def full(text):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(reloader._file, 'write', full)
        assert not reloader.bring('new ')
        assert not reloader.bring('new ')
    assert 'No space left on device; the file stays' in caplog.text
    assert path.read_text() == 'old '
    assert loaded(tmp_path) == ['old']
    assert reloader.bring('new ')


def test_a_reload_without_new_workers_is_not_believed(file, monkeypatch,
                                                      caplog, tmp_path):
    monkeypatch.setattr(reloading, 'VERIFY_TIMEOUT_S', .1)
    # A master and a worker, which the command does not replace.
    program = tmp_path / 'proxyx'
    program.symlink_to('/bin/sleep')
    script = tmp_path / 'script'
    script.write_text(
        'import os, sys\n'
        'program = sys.argv[1]\n'
        'if os.fork():\n'
        '    os.execv(program, [program, "60"])\n'
        'os.execv(program, [program, "60"])\n')
    import subprocess
    master = subprocess.Popen([sys.executable, str(script), str(program)])
    try:
        reloader = Reloader(file, Command(''), Command('true'), 0.,
                            workers=Workers('proxyx'))
        wait_for(lambda: reloader._workers.find())
        assert not reloader.bring('one')
        assert 'true made no new worker processes within 0.1 s' in caplog.text
        assert reloader.counts['failed'] == 1
    finally:
        for pid, _ in reloader._workers.find():
            os.kill(pid, 9)
        master.kill()
        master.wait()


# Commands

@pytest.mark.parametrize('text, why', [
    ('false', 'false: exit status 1'),
    ('sh -c "echo out; echo err >&2; exit 3"', 'out\\nerr'),
    ('/nonexistent x', '/nonexistent: No such file'),
    ('sh -c "kill -9 $$"', 'ended by signal 9'),
])
def test_why_a_command_failed(text, why):
    result = Command(text).run()
    assert not result.ok
    assert why in result.text


def test_what_haproxy_tells_is_the_same_each_time(tmp_path):
    haproxy = shutil.which('haproxy', path='/usr/sbin:/usr/local/sbin')
    if haproxy is None:
        pytest.skip('no haproxy here')
    (tmp_path / 'bad.cfg').write_text('frontend x\n nonsense\n')
    results = {Command(f'{haproxy} -c -f {tmp_path}/bad.cfg').run().text
               for _ in range(2)}
    assert len(results) == 1
    text, = results
    assert text.startswith('[ALERT] config : parsing')
    assert 'nonsense' in text
    assert 'NOTICE' not in text


def test_no_command_is_success():
    assert not Command('')
    assert Command('').run().ok
    assert Command('true').run().ok


def test_words_are_split_and_the_file_filled_in():
    command = Command("test -f '{file}' -a x", file="/a b'; rm")
    assert command.words == ['test', '-f', "/a b'; rm", '-a', 'x']
    with pytest.raises(ValueError, match='is no command'):
        Command('"')


def test_a_command_has_no_input_and_no_terminal():
    result = Command(f'{sys.executable} -c "import os, sys; '
                     'print(repr(sys.stdin.read()), '
                     'os.getsid(0) == os.getpid())"').run()
    assert result.text == "'' True"


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    pid_file = tmp_path / 'pid'
    began = time.monotonic()
    result = Command(
        f'sh -c "sleep 60 & echo $! > {pid_file}; wait"').run(timeout=.5)
    assert not result.ok
    assert 'not done within 0.5 s' in result.text
    assert time.monotonic() - began < 30
    pid = int(pid_file.read_text())

    def is_gone():
        try:
            with open(f'/proc/{pid}/stat') as file:
                return file.read().rpartition(')')[2].split()[0] == 'Z'
        except FileNotFoundError:
            return True

    wait_for(is_gone)


def test_a_long_output_is_cut_and_escaped():
    result = Command(f'{sys.executable} -c "print(chr(27) * 9000); exit(1)"'
                     ).run()
    assert len(result.text) < 4000
    assert result.text.isprintable()
