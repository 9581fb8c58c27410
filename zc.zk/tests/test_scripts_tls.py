"""Test the commands with TLS and credentials."""
import re

import pytest
from kazoo.exceptions import NoAuthError
from zc.zk.client import ZooKeeper
from zc.zk.scripts import diff
from zc.zk.scripts import export
from zc.zk.scripts import import_
from zc.zk.scripts import set_property
from zc.zk.scripts import validate
from zc_zk_support.tls import make_certificate

TREE = '/a\n  x = 1\n  /b\n'


@pytest.fixture
def where(tls_port, zookeeper):
    """Return the connection string of the TLS server."""
    return f'localhost:{tls_port}{zookeeper.chroot}'


@pytest.fixture
def secure(certificate, file):
    """Return the options for TLS and credentials."""
    cert, key = certificate
    secret = file('digest user:secret\n', 'secret', 0o600)
    return [f'--auth-file={secret}', f'--ca={cert}', f'--cert={cert}',
            f'--key={key}']


@pytest.fixture
def run(capsys):
    """Return a function that calls a command.

    It returns the exit status, standard output and standard error.
    """
    def call(script, *args):
        capsys.readouterr()
        try:
            status = script(list(args))
        except SystemExit as error:
            status = error.code
        return status, *capsys.readouterr()

    return call


def test_every_script(where, secure, file, run, zookeeper, tmp_path):
    tree = file(TREE)
    backup = tmp_path / 'backup'
    assert run(validate, tree) == (None, '', '')
    assert run(import_, *secure, '--acl=auth::cdrwa', where, tree) == (
        None, 'add /a\nadd /a/b\n2 changes made\n', '')
    assert run(export, *secure, where) == (None, TREE, '')
    assert run(set_property, *secure, where, '/a', 'x=2') == (
        None, '/a change property x from 1 to 2\n', '')
    assert run(diff, *secure, where, tree) == (
        1, '/a change property x from 2 to 1\n', '')
    assert run(diff, *secure, '-l', where, '/a', '/a') == (None, '', '')
    assert run(import_, *secure, f'--backup={backup}', where, tree) == (
        None, '/a change property x from 2 to 1\n1 change made\n', '')
    saved = re.sub(r" *\[ acl \] = \['digest:user:\S+=:cdrwa'\]\n", '',
                   backup.read_text())
    assert saved.endswith(TREE.replace('1', '2'))
    # Without the credentials, all this is forbidden.
    with ZooKeeper(zookeeper.connection_string) as zk:
        with pytest.raises(NoAuthError):
            zk.get('/a')
    with ZooKeeper(zookeeper.connection_string,
                   auth=[('digest', 'user:secret')]) as zk:
        zk.delete_recursive('/a')


@pytest.fixture
def calls(where, file):
    """Yield every command that connects, with its arguments."""
    tree = file(TREE)
    return [(export, where), (import_, where, tree), (diff, where, tree),
            (diff, '-l', where, '/', '/'), (set_property, where, '/', 'x=1')]


@pytest.mark.parametrize('kind, said', [
    ('other', 'unknown ca'), ('none', 'certificate required'),
    ('no ca', 'certificate verify failed'), ('no key', 'certificate or its'),
    ('no file', 'No such file'), ('key alone', 'without its certificate')])
@pytest.mark.clock
def test_wrong_files_are_one_line(
        calls, secure, run, tmp_path, kind, said):
    auth, ca, cert, key = secure
    other, its_key = make_certificate(tmp_path)
    options = {
        'other': [auth, ca, f'--cert={other}', f'--key={its_key}'],
        'none': [auth, ca],
        'no ca': [auth, cert, key],
        'no key': [auth, ca, cert],
        'no file': [auth, ca, '--cert=/missing', key],
        'key alone': [auth, ca, key],
    }[kind]
    for script, *args in calls:
        status, out, error = run(
            script, '--session-timeout=1', *options, *args)
        assert (status, out) == (2, '')
        assert error.startswith('zookeeper_') and error.count('\n') == 1
        assert said in error
