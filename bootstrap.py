"""Set everything up and run a command: ``python3 bootstrap.py NAME``.

Makes a virtual environment in ``.venv``, installs zc.buildout and the pinned
distributions there, runs buildout, and, given a NAME, runs ``bin/NAME`` with
the remaining arguments and its exit status.  Needs a Python >= 3.10 and
nothing else.

``test``, ``coverage``, ``py`` and no NAME set up everything, save what
``test-apps`` needs: the tests with applications of other people have an
environment of their own, ``.venv-apps``.  Any other NAME sets up what the demo
needs, without the distributions of the tests.

An old Python can still read this file, and says that it is too old.
"""
from __future__ import print_function

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, '.venv')
STAMP = os.path.join(VENV, 'bootstrap.stamp')
TOOLS = 'pip', 'setuptools', 'wheel', 'zc.buildout'
# A program: make the metadata of the distributions in the folders given.
EGG_INFO = '''\
import logging, os, setuptools, sys
from distutils.core import run_setup
logging.disable(logging.WARNING)
for folder in sys.argv[1:]:
    os.chdir(folder)
    run_setup('setup.py', ['-q', 'egg_info'])
'''
# The distributions of this repository: their names and their folders.
OURS = (('zc.zkzopeserver', '.'), ('zope.server', 'zope.server'),
        ('zc.zk', 'zc.zk'), ('zc.monitor', 'zc.monitor'))
SETUPS = tuple(folder + '/setup.py' for _, folder in OURS)
# What decides the outcome of a buildout run, besides the Python itself.
INPUTS = ('bootstrap.py', 'buildout.cfg', 'versions.cfg') + SETUPS
# Real applications: the script, its buildout, its environment.
APPS = 'test-apps'
APPS_CONFIG = 'apps.cfg'
APPS_VENV = os.path.join(HERE, '.venv-apps')
APPS_HINT = ('the tests with real applications (Django, Zope, ...) are apart:'
             ' python3 bootstrap.py ' + APPS)
INPUT_FOLDERS = ('src/zc/zkzopeserver/recipe',
                 'src/zc/zkzopeserver/options',
                 'zope.server/src/zope/server')
# The parts of buildout.cfg for the demo, and the extras that these need.
DEMO_PARTS = 'buildout-script', 'scripts', 'web', 'api', 'demo'
DEMO_EXTRAS = 'daemon', 'monitor', 'recipe'
# The scripts that need all parts.
NEED_ALL = 'test', 'coverage', 'py'


class Stop(Exception):
    """A step cannot be done; the text says which and why."""


def main(arguments):
    """Set up, then run ``bin/NAME``; return the exit status."""
    try:
        check_python()
        check_place()
        if arguments[:1] == [APPS]:
            set_up_apps()
        else:
            set_up(not arguments or arguments[0] in NEED_ALL)
        if arguments[:1] == ['test']:
            say(APPS_HINT)
        return run(arguments) if arguments else 0
    except Stop as error:
        print('bootstrap: %s' % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('bootstrap: interrupted', file=sys.stderr)
        return 130


def say(step):
    """Print a line for the step that begins."""
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


def set_up(needs_all):
    """Make the environment and run buildout, as far as they are stale."""
    inputs = fingerprint()
    stamp = read(STAMP)
    is_made = os.path.exists(os.path.join(HERE, '.installed.cfg'))
    if is_made and stamp in ([stamp_of(True, inputs)] if needs_all else
                             [stamp_of(True, inputs),
                              stamp_of(False, inputs)]):
        return
    start = time.time()
    make_environment()
    install(needs_all)
    run_buildout(needs_all)
    write(STAMP, stamp_of(needs_all, inputs))
    say('ready, after %.0f s' % (time.time() - start))


def set_up_apps():
    """Make ``bin/test-apps`` and its environment, if they are stale."""
    stamp = os.path.join(APPS_VENV, 'bootstrap.stamp')
    inputs = fingerprint(APPS_CONFIG)
    if (read(stamp) == inputs
            and os.path.exists(os.path.join(HERE, 'bin', APPS))):
        return
    start = time.time()
    python = environment_python(APPS_VENV)
    marker = os.path.join(APPS_VENV, 'bootstrap.python')
    if read(marker) != identity() or not os.path.exists(python):
        create_environment(APPS_VENV)
    pins = pinned_versions('versions.cfg', APPS_CONFIG)
    install_pinned(
        sorted(set(TOOLS).union(requirements(True), apps_eggs())), pins,
        APPS_VENV, 'the applications')
    say('running buildout for ' + APPS)
    buildout(['-c', APPS_CONFIG], APPS_VENV)
    write(stamp, inputs)
    say('ready, after %.0f s' % (time.time() - start))


def apps_eggs():
    """Return the distributions that the tests with applications need."""
    eggs = re.search(r'(?m)^eggs =\n((?: +\S+\n)+)',
                     read(os.path.join(HERE, APPS_CONFIG)))
    return sorted(without_ours(eggs.group(1).split()))


def stamp_of(needs_all, inputs):
    """Return what the stamp says after a run for all parts, or the demo's."""
    return ('all' if needs_all else 'demo') + '\n' + inputs


def fingerprint(*more):
    """Return a text that changes with the Python and with every input.

    `more` are further files that are inputs.
    """
    lines = [sys.version, sys.executable, HERE]
    for name in list(INPUTS) + list(more) + sorted(folder_files()):
        with open(os.path.join(HERE, name), 'rb') as source:
            lines.append(name + ' ' + hashlib.sha256(
                source.read()).hexdigest())
    return '\n'.join(lines) + '\n'


def folder_files():
    """Yield the Python files of `INPUT_FOLDERS`, relative to `HERE`."""
    for folder in INPUT_FOLDERS:
        for path, _, names in os.walk(os.path.join(HERE, folder)):
            for name in names:
                if name.endswith('.py'):
                    yield os.path.relpath(os.path.join(path, name), HERE)


def read(path):
    """Return a file's text, '' when there is no file."""
    try:
        with open(path) as source:
            return source.read()
    except (IOError, OSError):
        return ''


def write(path, text):
    """Write a file."""
    with open(path, 'w') as out:
        out.write(text)


def environment_python(folder=VENV):
    """Return the path of a virtual environment's interpreter."""
    return os.path.join(folder, 'Scripts' if os.name == 'nt' else 'bin',
                        'python')


def identity():
    """Return what tells this Python from others."""
    return sys.version + '\n' + sys.executable


def make_environment():
    """Make a virtual environment of this very Python."""
    marker = os.path.join(VENV, 'bootstrap.python')
    if read(marker) == identity() and os.path.exists(environment_python()):
        return
    # Eggs and scripts of another Python are of no use to this one.
    for name in 'eggs', 'develop-eggs', 'bin':
        shutil.rmtree(os.path.join(HERE, name), ignore_errors=True)
    if os.path.exists(os.path.join(HERE, '.installed.cfg')):
        os.remove(os.path.join(HERE, '.installed.cfg'))
    create_environment(VENV)


def create_environment(folder):
    """Make a virtual environment of this very Python, and mark it so."""
    say('making a virtual environment in ' + os.path.basename(folder))
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError as error:
        raise Stop(
            'this Python has no working venv module (%s); on Debian and'
            ' Ubuntu, install python3-venv' % error)
    try:
        venv.create(folder, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Stop('cannot make a virtual environment in %s: %s'
                   % (folder, error))
    write(os.path.join(folder, 'bootstrap.python'), identity())


def install(needs_all):
    """Install zc.buildout, and what our distributions require, pinned.

    One run of pip takes a fraction of the time that buildout needs to get
    the distributions one by one.  Buildout finds them in the environment, and
    gets by itself what is missing there.
    """
    install_pinned(list(TOOLS) + requirements(needs_all),
                   pinned_versions('versions.cfg'), VENV,
                   'what the %s' % ('tests need' if needs_all
                                    else 'demo needs'))


def pinned_versions(*names):
    """Return the versions that files pin, by name; the last file wins."""
    return dict(re.findall(r'(?m)^([\w.-]+) = (\d\S*)$', '\n'.join(
        read(os.path.join(HERE, name)) for name in names)))


def install_pinned(wanted, pins, folder, what):
    """Install distributions by name in an environment, unless it has them.

    `what` names them for the message.
    """
    python = environment_python(folder)
    pinned = ['%s==%s' % (name, pins[name]) for name in wanted]
    check = ('import sys, importlib.metadata as m\n'
             'sys.exit([1 for p in sys.argv[1:] if'
             ' m.version(p.split("==")[0]) != p.split("==")[1]] != [])')
    if call([python, '-c', check] + pinned, quiet=True) == 0:
        return
    say('installing zc.buildout %s and %s' % (pins['zc.buildout'], what))
    constraints = os.path.join(folder, 'constraints.txt')
    write(constraints, ''.join('%s==%s\n' % pin for pin in pins.items()))
    run_pip(['install', '--constraint', constraints] + pinned, pins, python)


def requirements(needs_all):
    """Return the names that our four distributions require, sorted.

    Without `needs_all`, of their extras only the demo's count.
    """
    names = set()
    for path in SETUPS:
        required, extras = declared(path)
        names.update(required)
        for extra, more in extras.items():
            if needs_all or extra in DEMO_EXTRAS:
                names.update(more)
    return sorted(without_ours(names) - set(TOOLS))


def without_ours(requirements):
    """Return the names of requirements that are not of this repository."""
    names = {re.match(r'[\w.-]+', name).group() for name in requirements}
    return names - {name for name, _ in OURS}


def declared(path):
    """Return (requirements, {extra: requirements}) of a ``setup.py``.

    Only literal arguments of `setup` are read.
    """
    found = {'install_requires': [], 'extras_require': {}}
    for node in ast.walk(ast.parse(read(os.path.join(HERE, path)))):
        if isinstance(node, ast.keyword) and node.arg in found:
            found[node.arg] = ast.literal_eval(node.value)
    return found['install_requires'], found['extras_require']


def run_pip(arguments, pins, python=None):
    """Run pip, with a line for each distribution that it gets."""
    output = []
    with subprocess.Popen(
            [python or environment_python(), '-m', 'pip'] + arguments,
            cwd=HERE,
            env=environment(), universal_newlines=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            output.append(line)
            name = getting(line)
            if name:
                say('getting ' + ' '.join([
                    ' '.join(pin) for pin in pins.items()
                    if plain(pin[0]) == plain(name)] or [name]))
            elif line.startswith('Installing collected packages'):
                say('installing them')
    if process.returncode:
        sys.stderr.write(''.join(output))
        raise Stop('pip could not install what is needed (its message is'
                   ' above); the package registry must be reachable')


def getting(line):
    """Return the distribution that a line of pip's is about, or None."""
    match = re.match(
        r'Collecting ([\w.-]+)|Processing \S+/([^/\s-]+)-\S+', line)
    return match and (match.group(1) or match.group(2))


def plain(name):
    """Return a distribution's name as PEP 503 normalizes it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def run_buildout(needs_all):
    """Run buildout with the project's configuration."""
    say('running buildout')
    buildout([] if needs_all else ['install'] + list(DEMO_PARTS), VENV)


def buildout(arguments, folder):
    """Run the buildout of a virtual environment."""
    python = environment_python(folder)
    # Buildout puts distributions of its own namespace on its path, and warns
    # of that.
    command = [python, '-u', '-W', 'ignore::UserWarning', '-c',
               'from zc.buildout.buildout import main; main()',
               '-N'] + arguments
    # With the setuptools that is installed already, our distributions are
    # built in half the time.  pip then does not make the metadata beside the
    # sources, where buildout looks; and it reads the variable as the value of
    # "build isolation" (https://github.com/pypa/pip/issues/5735).
    folders = [os.path.join(HERE, folder) for _, folder in OURS]
    if (call([python, '-c', EGG_INFO] + folders)
            or call(command, PIP_NO_BUILD_ISOLATION='0')):
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
        except OSError as error:
            raise Stop('cannot run bin/%s: %s'
                       % (arguments[0], error.strerror))
    return subprocess.call([script] + arguments[1:])


def call(command, quiet=False, **variables):
    """Run a command in the project's folder; return its exit status.

    What it prints goes to stderr, unless it is `quiet`.
    """
    with open(os.devnull, 'w') as nowhere:
        return subprocess.call(command, cwd=HERE, env=environment(variables),
                               stderr=nowhere if quiet else None,
                               stdout=nowhere if quiet else sys.stderr)


def environment(variables=()):
    """Return the environment of the commands, with further `variables`."""
    environ = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK='1')
    environ.update(variables)
    # They would let modules of another Python in.
    for name in 'PYTHONHOME', 'PYTHONPATH':
        environ.pop(name, None)
    return environ


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
