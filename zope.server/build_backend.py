"""setuptools' build backend (PEP 517), which can compile the server.

With ZOPE_SERVER_COMPILED=1 in the environment a wheel has the modules that
`zope.server.form` names compiled by mypyc, beside their sources.  Only this
needs mypy and a C compiler.  Any other wheel, each sdist and each editable
installation is pure.
"""
from __future__ import annotations

import os
import runpy
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from setuptools import build_meta

VARIABLE = 'ZOPE_SERVER_COMPILED'
# What it generates, and refuses, changes from one to the next.
MYPY = 'mypy[mypyc] == 2.4.*'
# httptools has no types, and other packages are not to be looked at: what is
# generated depends on these sources alone.
MYPY_OPTIONS = (
    '--config-file=', f'--cache-dir={os.devnull}', '--no-site-packages',
    '--ignore-missing-imports', '--namespace-packages',
    '--explicit-package-bases', '--check-untyped-defs')
HERE = Path(__file__).parent.absolute()
SOURCES = HERE / 'src'
# What mypyc generates.
BUILD = HERE / 'build' / 'compiled'

# The hooks that stay as they are.
build_editable = build_meta.build_editable
build_sdist = build_meta.build_sdist
build_wheel = build_meta.build_wheel
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
prepare_metadata_for_build_editable = (
    build_meta.prepare_metadata_for_build_editable)
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return what a wheel needs to be built: mypy, to compile it.

    SystemExit, with a line that says why, where nothing can be compiled.
    """
    needed = []
    if is_wanted():
        check_compiler()
        needed = [MYPY]
    return build_meta.get_requires_for_build_wheel(config_settings) + needed


def is_wanted() -> bool:
    """Return whether a wheel is to be compiled.

    SystemExit for a value of the variable that is neither 0 nor 1.
    """
    value = os.environ.get(VARIABLE, '')
    if value not in ('', '0', '1'):
        raise SystemExit(f'zope.server: {VARIABLE} must be 1 or 0, not'
                         f' {value!r}')
    return value == '1'


def check_compiler() -> None:
    """Do nothing where C can be compiled; else SystemExit, which says why."""
    compiler = os.environ.get('CC') or sysconfig.get_config_var('CC') or 'cc'
    program = shlex.split(compiler)[0]
    header = Path(sysconfig.get_path('include'), 'Python.h')
    if shutil.which(program) is None:
        missing = f'the C compiler {program} is not installed'
    elif not header.exists():
        missing = f"Python's headers are not installed ({header})"
    else:
        return
    raise SystemExit(f'zope.server: {VARIABLE}=1 cannot be done, as {missing};'
                     ' without it the same server is installed interpreted')


def extensions() -> list[Any]:
    """Return the extensions of a wheel: none unless it is to be compiled."""
    if 'bdist_wheel' not in sys.argv or not is_wanted():
        return []
    check_compiler()
    try:
        from mypyc.build import mypycify
    except ImportError:
        raise SystemExit(f'zope.server: {VARIABLE}=1 needs {MYPY!r}, which'
                         ' pip installs unless --no-build-isolation is'
                         ' given') from None
    form = runpy.run_path(str(SOURCES / 'zope' / 'server' / 'form.py'))
    # Tracebacks name files as they are given here.
    with working_directory(SOURCES):
        found = mypycify(
            [*MYPY_OPTIONS,
             *(f'zope/server/{name}.py' for name in form['MODULES'])],
            group_name='zope.server.compiled', target_dir=str(BUILD),
            debug_level='0')
    for extension in found:
        # setuptools refuses absolute paths.
        for name in 'sources', 'depends':
            setattr(extension, name, [
                os.path.relpath(path, HERE)
                for path in getattr(extension, name)])
        # Another compiler warns of other things.
        extension.extra_compile_args = [
            each for each in extension.extra_compile_args
            if each != '-Werror']
    return found


@contextmanager
def working_directory(path: Path) -> Iterator[None]:
    """Have the process work in another directory."""
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)
