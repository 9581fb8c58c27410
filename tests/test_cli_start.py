"""The verb `start`: why a start has failed."""
import pytest

from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.cli.verbs import start as starting


@pytest.mark.parametrize('line, status, words', [
    ('pid 7: exit status 5', 5, 'has ended with status 5 before'),
    ('pid 7: exit status 3; exiting now', 3, 'has ended with status 3'),
    ('pid 7: exit status 120', 1, 'has ended with status 120'),
    ('pid 7: exit status 0; exiting now', 1, 'was stopped'),
    ('pid 7: terminated by SIGSEGV', 1, 'was killed by signal 11'),
    ('Exiting', 1, 'has ended before')])
def test_why_a_start_failed(tmp_path, line, status, words):
    instance = Instance(str(tmp_path / 'web.ini'))
    (tmp_path / 'web.log').write_text(
        f'old\n2026-01-01 00:00:00 INFO zdaemon {line}\n')
    failure = starting.failure(instance, 4)
    assert failure.exit_status == status
    first, second, third = str(failure).splitlines()
    assert first.startswith(f'the server {words}')
    assert second == f'the last lines of {tmp_path}/web.log:'
    assert third.endswith(f'zdaemon {line}')


def test_why_a_start_failed_that_said_nothing(tmp_path):
    failure = starting.failure(Instance(str(tmp_path / 'web.ini')), 0)
    assert str(failure).splitlines()[1] == (
        f'nothing was written to {tmp_path}/web.log')
