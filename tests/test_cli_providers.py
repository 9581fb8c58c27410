"""The providers, read from both ZooKeepers, and our rights there."""
import pytest
from kazoo.client import KazooState
from kazoo.security import make_acl
from zkzopeserver_support.running import PATH

import zc.zkzopeserver.options
from zc.zkzopeserver.cli.providers import Provider
from zc.zkzopeserver.cli.providers import Providers
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import RegistrationError


@pytest.fixture
def providers(zookeeper):
    """A function: `Providers` with these options; closed at the end."""
    made = []

    def make(path=PATH, **more):
        options = zc.zkzopeserver.options.parse(
            {'zookeeper': zookeeper.connection_string, 'path': path, **more})
        made.append(Providers(options))
        return made[-1]

    yield make
    for each in made:
        each.__exit__()


def test_the_nodes_with_their_properties(providers, tree):
    tree.create(f'{PATH}/b:2', b'{"pid": 2, "monitor": "b:3", "x": [1]}')
    tree.create(f'{PATH}/a', b'not JSON')
    first, second = providers().nodes()
    assert (first.name, first.pid, first.monitor, first.address) == (
        'a', None, None, None)
    assert second == Provider('b:2', {'pid': 2, 'monitor': 'b:3', 'x': [1]})
    assert (second.pid, second.monitor, second.address) == (
        2, 'b:3', ('b', 2))


def test_a_link_is_followed(providers, tree):
    tree.create('/other', b'{"providers ->": "/fooservice/providers"}')
    tree.create(f'{PATH}/a:1', b'{"pid": 1}', ephemeral=True)
    found = providers('/other/providers')
    assert [node.name for node in found.nodes()] == ['a:1']
    assert found.tree() == (
        '/providers\n  /a:1\n    [ ephemeral ]\n    pid = 1\n')


def test_a_path_that_is_not_there(providers, tree):
    found = providers('/nosuch')
    for call in found.nodes, found.tree, lambda: list(found.missing_rights()):
        with pytest.raises(RegistrationError,
                           match="option 'path': there is no /nosuch in the"
                                 ' ZooKeeper at '):
            call()


def test_links_that_run_in_a_circle(providers, tree):
    tree.create('/a', b'{"x ->": "/a/x"}')
    with pytest.raises(RegistrationError, match='circle'):
        providers('/a/x').nodes()


def test_nobody_sees_that_rights_are_asked_for(providers, tree, client):
    seen = []
    tree.get_children(PATH, watch=seen.append)
    before = tree.exists(PATH)
    assert list(providers().missing_rights()) == []
    assert tree.exists(PATH) == before
    # The watch would have been seen before this answer.
    assert tree.get_children(PATH) == [] and seen == []
    assert tree.state == KazooState.CONNECTED


@pytest.mark.parametrize('rights, words', [
    (dict(read=True), 'not allowed to create nodes below'),
    (dict(read=True, create=True), 'not allowed to delete nodes below'),
])
def test_rights_that_are_missing(providers, tree, rights, words):
    acl = [make_acl('world', 'anyone', **rights),
           make_acl('digest', 'op:x', all=True)]
    tree.set_acls(PATH, acl)
    problem, = providers().missing_rights()
    assert problem.startswith(f"option 'path': {words} {PATH}, where the"
                              ' rights are world:anyone:')
    assert problem.endswith('digest:op:x:cdrwa')


def test_rights_by_credentials(providers, tree, tmp_path):
    tree.add_auth('digest', 'op:secret')
    tree.set_acls(PATH, [make_acl('world', 'anyone', read=True),
                         make_acl('auth', '', all=True)])
    assert len(list(providers().missing_rights())) == 1
    file = tmp_path / 'auth'
    file.write_text('digest op:secret\n')
    file.chmod(0o600)
    found = providers(zookeeper_auth_file=str(file))
    assert list(found.missing_rights()) == []
    assert found.nodes() == []


def test_a_path_that_we_may_not_read(providers, tree):
    tree.set_acls(PATH, [make_acl('digest', 'op:x', all=True)])
    with pytest.raises(RegistrationError) as caught:
        providers().nodes()
    assert str(caught.value).startswith(
        f"option 'path': not allowed to read {PATH} in the ZooKeeper at ")
    assert str(caught.value).endswith(f': {PATH} (READ)')


def test_a_provider_that_we_may_not_read(providers, tree):
    tree.create(f'{PATH}/one:1', acl=[make_acl('digest', 'op:x', all=True)])
    with pytest.raises(RegistrationError, match=f': {PATH}/one:1 .READ.$'):
        providers().nodes()


def test_a_link_that_leads_nowhere(providers, tree):
    tree.create('/linked', b'{"providers ->": "/nowhere"}')
    with pytest.raises(RegistrationError) as caught:
        providers(path='/linked/providers').nodes()
    assert str(caught.value).startswith(
        "option 'path': there is no /nowhere (by way of the link"
        ' /linked/providers -> /nowhere) in the ZooKeeper at ')


def test_files_of_tls_that_cannot_be_used(providers, tmp_path):
    file = tmp_path / 'ca.pem'
    file.write_text('no certificate')
    with pytest.raises(ConfigurationError, match='ca.pem'):
        providers(zookeeper_ca=str(file))


def test_going_on_until_it_is_enough():
    options = zc.zkzopeserver.options.parse(
        {'zookeeper': '127.0.0.1:1', 'path': PATH})
    asked = []

    def goes_on():
        asked.append(True)
        return len(asked) < 3

    with pytest.raises(RegistrationError, match="option 'zookeeper': .*:1"):
        Providers(options, goes_on)
    assert len(asked) == 3
