"""Django, Flask and Pyramid, beside waitress and between two checkers."""
import re
from pathlib import Path

import pytest
from zkzopeserver_support.beside import ask
from zkzopeserver_support.beside import differing
from zkzopeserver_support.differences import DIFFERENCES
from zkzopeserver_support.differences import unexplained
from zkzopeserver_support.requests import REQUESTS

MIGRATION = Path(__file__).parents[2] / 'doc' / 'migration.txt'


@pytest.mark.parametrize('case', REQUESTS)
def test_the_answer_is_that_of_waitress(sites, framework, case):
    answers = sites.beside(framework).answers(REQUESTS[case])
    assert unexplained(*answers) == []


@pytest.mark.parametrize('case', REQUESTS)
def test_neither_checker_finds_a_fault(sites, framework, case):
    """What wsgiref.validate or WebTest's lint find, they raise."""
    if case == 'no content' and framework != 'pyramid':
        pytest.skip('the framework sends a Content-Type with 204')
    request = REQUESTS[case]
    assert ask(sites.checked(framework), request) == ask(
        sites.beside(framework).here, request)


@pytest.mark.parametrize('difference', DIFFERENCES,
                         ids=[each.what for each in DIFFERENCES])
def test_each_difference_is_there(sites, difference):
    framework, case = difference.example
    here, waitress = sites.beside(framework).answers(REQUESTS[case])
    assert [found for found in differing(here, waitress)
            if difference.matches(here.status, *found)]


def test_the_document_has_the_same_table():
    assert table(MIGRATION.read_text(encoding='utf-8')) == [
        ('what', 'waitress', 'here', 'why'),
        *((each.what, each.waitress, each.here, each.why)
          for each in DIFFERENCES)]


def table(text):
    """Return the rows of the document's table, cells by cells."""
    section = text.partition('\nAnswers beside waitress')[2]
    ruler = re.search(r'^(?:=+ +){3}=+$', section, re.MULTILINE)
    columns = [match.span() for match in re.finditer('=+', ruler.group())]
    rows = []
    for line in section[ruler.start():].splitlines():
        if not line.strip():
            break
        if line.startswith('='):
            continue
        cells = [line[begin:end if end < columns[-1][1] else None].strip()
                 for begin, end in columns]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f'{above} {more}'.strip() for above, more in zip(
                rows[-1], cells, strict=True)]
    return [tuple(row) for row in rows]
