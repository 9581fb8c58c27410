"""The form of the server, and the build that compiles it."""
from __future__ import annotations

import importlib
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zope.server
from zope.server.form import INTERPRETED
from zope.server.form import MODULES
from zope.server.form import form
from zope_server_support.talking import ask
from zope_server_support.talking import serving

PROJECT = Path(__file__).parents[1]
in_a_checkout = pytest.mark.skipif(
    not (PROJECT / 'build_backend.py').exists() or form() != INTERPRETED,
    reason='not in a checkout, or tried with the other form')
BUILD = """
import build_backend, sys
hook, folder = sys.argv[1:]
print(getattr(build_backend, hook)(folder))
"""


def test_the_form_is_the_one_that_is_to_be_tested() -> None:
    """``.ci/compiled`` sets the variable, so that it tests what it says."""
    assert form() == os.environ.get('ZOPE_SERVER_FORM', INTERPRETED)
    for name in MODULES:
        module = importlib.import_module(f'zope.server.{name}')
        assert module.__file__ is not None
        assert module.__file__.endswith('.py') == (form() == INTERPRETED)


def test_statistics_tell_the_form() -> None:
    with serving(failing) as server:
        assert server.statistics().form == form()


def failing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return [b'' / 0]  # type: ignore[operator]


def test_tracebacks_name_files_and_lines(
        caplog: pytest.LogCaptureFixture) -> None:
    with serving(failing) as server:
        assert ask(server.address).status == 500
    text = logging.Formatter().format(caplog.records[0])
    assert 'zope/server/task.py", line ' in text
    assert ', in run\n' in text
    assert "    return [b'' / 0]" in text


@pytest.mark.skipif(form() == INTERPRETED, reason='it is pure')
def test_a_compiled_wheel_is_of_its_platform_and_has_its_sources() -> None:
    package = Path(zope.server.__file__).parent
    [info] = package.parents[1].glob('zope_server-*.dist-info')
    wheel = info.joinpath('WHEEL').read_text()
    version = f'cp{sys.version_info.major}{sys.version_info.minor}'
    assert 'Root-Is-Purelib: false\n' in wheel
    assert f'Tag: {version}-{version}-' in wheel
    names = {line.partition(',')[0]
             for line in info.joinpath('RECORD').read_text().splitlines()}
    assert 'zope/server/py.typed' in names
    libraries = {name for name in names if name.endswith('.so')}
    for name in (*MODULES, 'compiled__mypyc'):
        assert any(library.startswith(f'zope/server/{name}.')
                   for library in libraries), name
    assert len(libraries) == len(MODULES) + 1
    assert {f'zope/server/{name}.py' for name in MODULES} <= names
    assert not package.with_name('__init__.py').exists()


# The build.

@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the distribution's folder."""
    pytest.importorskip('setuptools')
    return shutil.copytree(
        PROJECT, tmp_path / 'zope.server', ignore=shutil.ignore_patterns(
            'build', '*.egg-info', 'tests', '__pycache__', '*.so'))


def build(project: Path, hook: str, **environment: str
          ) -> subprocess.CompletedProcess[str]:
    """Call a hook of the backend, in a process as pip does."""
    folder = '' if hook.startswith('get_') else str(project.parent / 'dist')
    return subprocess.run(
        [sys.executable, '-c', BUILD, hook, folder], cwd=project, text=True,
        capture_output=True, env={**os.environ, **environment})


@in_a_checkout
@pytest.mark.parametrize('hook', ['build_wheel', 'build_editable'])
def test_the_default_is_pure(project: Path, hook: str) -> None:
    """An editable installation is so always."""
    done = build(project, hook, ZOPE_SERVER_COMPILED=(
        '1' if hook == 'build_editable' else ''))
    assert done.returncode == 0, done.stderr
    [wheel] = project.parent.glob('dist/*.whl')
    assert wheel.name == 'zope_server-6.0-' + (
        '0.editable-' if hook == 'build_editable' else '') + (
        'py3-none-any.whl')
    with zipfile.ZipFile(wheel) as archive:
        assert not any(name.endswith(('.so', '.c'))
                       for name in archive.namelist())


@in_a_checkout
def test_an_sdist_is_pure_and_can_be_compiled(project: Path) -> None:
    done = build(project, 'build_sdist', ZOPE_SERVER_COMPILED='1')
    assert done.returncode == 0, done.stderr
    [sdist] = project.parent.glob('dist/*.tar.gz')
    # Python 3.12 and 3.13 warn where no filter is named.
    shutil.unpack_archive(sdist, project.parent, filter='data')
    unpacked = project.parent / sdist.name.removesuffix('.tar.gz')
    names = {path.name for path in unpacked.rglob('*')}
    assert not any(name.endswith(('.so', '.c')) for name in names)
    wanted = build(unpacked, 'get_requires_for_build_wheel',
                   ZOPE_SERVER_COMPILED='1', CC=sys.executable)
    assert "'mypy[mypyc] == " in wanted.stdout


@in_a_checkout
@pytest.mark.parametrize('value, compiler, words', [
    ('', 'no-such-compiler', None), ('0', 'no-such-compiler', None),
    ('1', 'no-such-compiler -pipe',
     'the C compiler no-such-compiler is not installed'),
    ('yes', sys.executable, "must be 1 or 0, not 'yes'"),
])
def test_only_a_compiled_wheel_needs_anything(
        project: Path, value: str, compiler: str, words: str | None) -> None:
    done = build(project, 'get_requires_for_build_wheel',
                 ZOPE_SERVER_COMPILED=value, CC=compiler)
    if words is None:
        assert done.returncode == 0, done.stderr
        assert 'mypy' not in done.stdout
        return
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith('zope.server: ZOPE_SERVER_COMPILED')
    assert words in line


