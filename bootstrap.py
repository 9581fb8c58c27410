"""Set everything up and run a command: ``python3 bootstrap.py NAME``.

Makes a virtual environment in ``.venv``, installs zc.buildout there, runs
buildout, and, given a NAME, runs ``bin/NAME`` with the remaining arguments and
its exit status.  Needs a Python >= 3.10 and nothing else.

Written so that an old Python can still read it, and say that it is too old.
"""
from __future__ import print_function

import hashlib
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, '.venv')
STAMP = os.path.join(VENV, 'bootstrap.stamp')
TOOLS = 'pip', 'setuptools', 'wheel', 'zc.buildout'
# What decides the outcome of a buildout run, besides the Python itself.
INPUTS = ('bootstrap.py', 'buildout.cfg', 'versions.cfg', 'setup.py',
          'zope.server/setup.py', 'zc.zk/setup.py', 'zc.monitor/setup.py')
INPUT_FOLDERS = ('src/zc/zkzopeserver/recipe',
                 'src/zc/zkzopeserver/options',
                 'zope.server/src/zope/server')


class Stop(Exception):
    """A step cannot be done; the text says which and why."""


def main(arguments):
    """Set up, then run ``bin/NAME``; returns the exit status."""
    try:
        check_python()
        check_place()
        set_up()
        return run(arguments) if arguments else 0
    except Stop as reason:
        print('bootstrap: %s' % reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('bootstrap: interrupted', file=sys.stderr)
        return 130


def say(step):
    """One line for the step that begins."""
    print('bootstrap: %s' % step, file=sys.stderr)
    sys.stderr.flush()


def check_python():
    """Refuse a Python that is too old, in words."""
    if sys.version_info < (3, 10):
        raise Stop('Python 3.10 or newer is needed; this is %s (%s)'
                   % (sys.version.split()[0], sys.executable))


def check_place():
    """Refuse a folder in which no script could be run.

    The first line of a script names its interpreter, and ends it at a space.
    """
    if os.name == 'posix' and re.search(r'\s', HERE):
        raise Stop('the scripts in bin cannot work below a path with spaces;'
                   ' move this folder: %s' % HERE)


def set_up():
    """Virtual environment, tools and buildout, as far as they are stale."""
    wanted = fingerprint()
    if read(STAMP) == wanted and os.path.exists(
            os.path.join(HERE, '.installed.cfg')):
        return
    make_environment()
    install_tools()
    run_buildout()
    with open(STAMP, 'w') as stamp:
        stamp.write(wanted)


def fingerprint():
    """A text that changes with the Python and with every input."""
    found = [sys.version, sys.executable, HERE]
    for name in list(INPUTS) + sorted(folder_files()):
        with open(os.path.join(HERE, name), 'rb') as source:
            found.append(name + ' ' + hashlib.sha256(
                source.read()).hexdigest())
    return '\n'.join(found) + '\n'


def folder_files():
    """The Python files of `INPUT_FOLDERS`, relative to here."""
    for folder in INPUT_FOLDERS:
        for path, _, names in os.walk(os.path.join(HERE, folder)):
            for name in names:
                if name.endswith('.py'):
                    yield os.path.relpath(os.path.join(path, name), HERE)


def read(path):
    """A file's text, or nothing when there is none."""
    try:
        with open(path) as source:
            return source.read()
    except (IOError, OSError):
        return ''


def environment_python():
    """The virtual environment's interpreter."""
    folder = 'Scripts' if os.name == 'nt' else 'bin'
    return os.path.join(VENV, folder, 'python')


def make_environment():
    """A virtual environment of this very Python."""
    marker = os.path.join(VENV, 'bootstrap.python')
    identity = sys.version + '\n' + sys.executable
    if read(marker) == identity and os.path.exists(environment_python()):
        return
    say('making a virtual environment in .venv')
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError as reason:
        raise Stop(
            'this Python has no working venv module (%s); on Debian and'
            ' Ubuntu, install python3-venv' % reason)
    # Rooms of another Python are of no use to this one.
    for name in 'eggs', 'develop-eggs', 'bin':
        shutil.rmtree(os.path.join(HERE, name), ignore_errors=True)
    if os.path.exists(os.path.join(HERE, '.installed.cfg')):
        os.remove(os.path.join(HERE, '.installed.cfg'))
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as reason:
        raise Stop('cannot make a virtual environment in %s: %s'
                   % (VENV, reason))
    with open(marker, 'w') as out:
        out.write(identity)


def install_tools():
    """The pinned zc.buildout and what it needs, into the environment."""
    pins = dict(re.findall(r'(?m)^([\w.-]+) = (\S+)$',
                           read(os.path.join(HERE, 'versions.cfg'))))
    wanted = ['%s==%s' % (name, pins[name]) for name in TOOLS]
    check = ('import sys, importlib.metadata as m\n'
             'sys.exit([1 for p in sys.argv[1:] if'
             ' m.version(p.split("==")[0]) != p.split("==")[1]] != [])')
    if call([environment_python(), '-c', check] + wanted, quiet=True) == 0:
        return
    say('installing zc.buildout %s' % pins['zc.buildout'])
    if call([environment_python(), '-m', 'pip', 'install', '--quiet',
             '--disable-pip-version-check'] + wanted):
        raise Stop('pip could not install %s (its message is above); the'
                   ' package registry must be reachable' % ', '.join(wanted))


def run_buildout():
    """Run buildout with the project's configuration."""
    say('running buildout')
    # buildout puts distributions of its own namespace on its path, and
    # warns of that.
    if call([environment_python(), '-W', 'ignore::UserWarning', '-c',
             'from zc.buildout.buildout import main; main()', '-q', '-N']):
        raise Stop('buildout failed (its message is above)')


def run(arguments):
    """Run ``bin/NAME`` in place of this process."""
    script = os.path.join(HERE, 'bin', arguments[0])
    if not os.path.isfile(script):
        names = ', '.join(sorted(os.listdir(os.path.join(HERE, 'bin'))))
        raise Stop('there is no bin/%s; there are: %s'
                   % (arguments[0], names))
    sys.stdout.flush()
    if os.name == 'posix':
        # The command gets our process: its signals and its exit status.
        try:
            os.execv(script, [script] + arguments[1:])
        except OSError as reason:
            raise Stop('cannot run bin/%s: %s'
                       % (arguments[0], reason.strerror))
    return call([script] + arguments[1:])


def call(command, quiet=False):
    """Run a command in the project's folder; its exit status."""
    environ = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK='1')
    # A PYTHONHOME or PYTHONPATH of somebody else's would leak in.
    for name in 'PYTHONHOME', 'PYTHONPATH':
        environ.pop(name, None)
    with open(os.devnull, 'w') as nowhere:
        return subprocess.call(command, cwd=HERE, env=environ,
                               stderr=nowhere if quiet else None,
                               stdout=nowhere if quiet else None)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
