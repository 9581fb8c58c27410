"""pserve and Zope's runwsgi, as they are: logging, workers, reloading."""
import contextlib
import os
import signal
import sys
import time

import psutil
import pytest
from zc.zk.testing.waiting import wait_for
from zkzopeserver_support.beside import ask
from zkzopeserver_support.differences import unexplained
from zkzopeserver_support.processes import LOGGING
from zkzopeserver_support.processes import Process
from zkzopeserver_support.processes import gone
from zkzopeserver_support.processes import registered
from zkzopeserver_support.requests import FORM
from zkzopeserver_support.requests import request as raw
from zkzopeserver_support.running import PATH
from zkzopeserver_support.running import get

# What their scripts in bin come to.
SCRIPTS = {
    'pserve': 'from pyramid.scripts.pserve import main',
    'runwsgi': 'from Zope2.Startup.serve import main',
}

LOCKING = '''
[app:main]
paste.app_factory = zkzopeserver_support.locking:make_application
locks = 2
text = from the ini
'''

ZOPE = '''
[app:zope]
use = egg:Zope#main
zope_conf = %(here)s/zope.conf
[pipeline:main]
pipeline = egg:Zope#httpexceptions zope
'''

ZOPE_CONF = '''
instancehome {0}
<zodb_db main>
  <mappingstorage>
  </mappingstorage>
  mount-point /
</zodb_db>
'''

SERVER = '''
[server:main]
use = egg:zc.zkzopeserver
zookeeper = {0}
path = /fooservice/providers
host = 127.0.0.1
deregister_wait = 0
'''

# With the names of loggers.
NAMED_LOGGING = LOGGING.replace('%(message)s', '%(name)s: %(message)s')

#: What Zope is asked.
REQUESTS = {
    'root': raw('GET /'),
    'head': raw('HEAD /'),
    'not there': raw('GET /nowhere'),
    'not allowed': raw('GET /manage_main'),
    'form': raw('POST /', FORM, b'a=1&b=%E2%98%83'),
    'options': raw('OPTIONS /'),
    'propfind': raw('PROPFIND /', 'Depth: 0\r\n'),
    'put': raw('PUT /document', '', b'text'),
    'resource': raw('GET /misc_/PageTemplates/zpt.gif'),
    'close': raw('GET /', 'Connection: close\r\n'),
}


@pytest.fixture
def launch(embedded, embedded_tree, tmp_path):
    """A function: run a launcher with an application and server options."""
    with contextlib.ExitStack() as stack:
        def start(launcher, app, more='', *arguments, server=None,
                  **options):
            text = app + (server or SERVER.format(
                embedded.connection_string)) + ''.join(
                f'{name} = {value}\n' for name, value in options.items())
            (tmp_path / 'site.ini').write_text(text + more)
            (tmp_path / 'zope.conf').write_text(ZOPE_CONF.format(tmp_path))
            program = tmp_path / launcher
            program.write_text(
                f'import sys\n{SCRIPTS[launcher]}\nsys.exit(main())\n')
            return stack.enter_context(contextlib.closing(Process(
                [sys.executable, '-Wdefault', str(program),
                 str(tmp_path / 'site.ini'), *arguments], tmp_path,
                PYTHONPATH=os.pathsep.join(filter(None, sys.path)))))

        yield start


@pytest.fixture(params=[('pserve', LOCKING), ('runwsgi', ZOPE)],
                ids=['pserve', 'runwsgi'])
def launcher(request):
    return request.param


def address_of(nodes):
    """Return the address of the one node as (host, port)."""
    (name, _), = nodes.items()
    host, _, port = name.partition(':')
    return host, int(port)


def test_the_loggers_of_the_ini(launch, launcher, embedded_tree, tmp_path):
    process = launch(*launcher, NAMED_LOGGING)
    host, port = address_of(registered(embedded_tree, process))
    log = tmp_path / 'event.log'
    wait_for(lambda: 'Registered ' in log.read_text())
    assert (f'{process.pid} zc.zkzopeserver.service: serving on'
            f' {host}:{port}\n') in log.read_text()
    assert process.stopped() == 0
    assert 'zc.zkzopeserver.registration: withdrew ' in log.read_text()


def test_a_level(launch, launcher, embedded_tree):
    """They have set handlers up, with a level that hides the port."""
    process = launch(*launcher, loggers='INFO')
    host, port = address_of(registered(embedded_tree, process))
    assert f'serving on {host}:{port}\n' in process.output
    assert 'kazoo' not in process.output
    assert process.stopped() == 0


def test_workers(launch, launcher, embedded_tree, tmp_path):
    """The parent leaves the application, and its locks, to them."""
    process = launch(*launcher, NAMED_LOGGING, workers=2)
    nodes = registered(embedded_tree, process, count=2)
    assert process.pid not in {data['pid'] for data in nodes.values()}
    for address in nodes:
        assert get(address)[0] == 200
    line = (f'{process.pid} zc.zkzopeserver.workers: all 2 workers are'
            ' registered\n')
    wait_for(lambda: line in (tmp_path / 'event.log').read_text())
    assert process.stopped() == 0
    gone(embedded_tree)


@pytest.mark.parametrize('workers', [1, 2])
def test_a_killed_server_leaves_nothing_behind(
        launch, launcher, embedded_tree, tmp_path, workers):
    """The next one ends its session, by the option session_file."""
    options = dict(workers=workers, session_timeout=60_000,
                   session_file=tmp_path / 'site.session')
    process = launch(*launcher, **options)
    old = registered(embedded_tree, process, count=workers)
    family = psutil.Process(process.pid).children()
    for each in [process, *family]:
        os.kill(each.pid, signal.SIGKILL)
    process.popen.wait()
    psutil.wait_procs(family, 30)
    assert set(embedded_tree.get_children(PATH)) == set(old)
    process = launch(*launcher, **options)
    # The sessions time out later.
    wait_for(lambda: (now := set(embedded_tree.get_children(PATH)))
             and not now & set(old), 30, lambda: process.output)
    new = registered(embedded_tree, process, count=workers)
    for address in new:
        assert get(address)[0] == 200
    assert process.stopped() == 0
    gone(embedded_tree)
    assert not (tmp_path / 'site.session').exists()


def test_variables_of_the_command_line_reach_the_workers(launch,
                                                         embedded_tree):
    process = launch('pserve', LOCKING.replace('from the ini', '%(said)s'),
                     '', 'said=from the command line', workers=2)
    for address, data in registered(embedded_tree, process,
                                    count=2).items():
        assert get(address)[1] == f'{data["pid"]} True from the command line'
    assert process.stopped() == 0


def test_reloading(launch, embedded_tree, tmp_path):
    """One process serves, and a new one after a change of the ini."""
    process = launch('pserve', LOCKING, '', '--reload', workers=2)
    (first, data), = registered(embedded_tree, process).items()
    assert get(first)[1] == f'{data["pid"]} False from the ini'
    assert 'one process serves instead of 2' in process.output
    ini = tmp_path / 'site.ini'
    ini.write_text(ini.read_text().replace('from the ini', 'changed'))
    second = renewed(embedded_tree, first, ini)
    assert get(second)[1].endswith(' False changed')
    # hupper gives its process a second to stop, and kills it then.
    process.signal()
    process.ended()
    gone(embedded_tree, timeout=30)
    assert 'Traceback' not in process.output


def test_zope_answers_as_behind_waitress(launch, embedded_tree):
    process = launch('runwsgi', ZOPE)
    here = address_of(registered(embedded_tree, process))
    found = {name: masked(ask(here, each))
             for name, each in REQUESTS.items()}
    assert process.stopped() == 0
    port = free_port()
    waitress = launch('runwsgi', ZOPE, server=(
        '[server:main]\nuse = egg:waitress#main\nhost = 127.0.0.1\n'
        f'port = {port}\n'))
    wait_for(lambda: answers(('127.0.0.1', port)), 30,
             lambda: waitress.output)
    for name, each in REQUESTS.items():
        assert unexplained(found[name], masked(ask(
            ('127.0.0.1', port), each))) == [], name
    assert [each.status.split()[1] for each in found.values()] == [
        '200', '200', '404', '401', '200', '200', '401', '401', '404', '200']


def renewed(tree, first, ini):
    """Touch the ini until there is a node other than `first`; return it.

    hupper looks each second whether the time of a file has grown, and may have
    looked at the ini for the first time only after the change.
    """
    def others():
        return [name for name in tree.get_children('/fooservice/providers')
                if name != first]

    for attempt in range(1, 10):
        later = time.time() + attempt
        os.utime(ini, (later, later))
        with contextlib.suppress(AssertionError):
            return wait_for(others, 4)[0]
    raise AssertionError(f'there is no node but {first}')


def masked(answer):
    """Return an answer without the times of Zope's start."""
    return answer._replace(headers=tuple(
        (name, '*' if name in ('etag', 'last-modified') else value)
        for name, value in answer.headers))


def free_port():
    """Return a port that nothing listens on."""
    import socket
    with socket.create_server(('127.0.0.1', 0)) as sock:
        return sock.getsockname()[1]


def answers(address):
    """Return whether a server answers at an address."""
    try:
        return ask(address, raw('GET /'))
    except OSError:
        return None
