"""Tests of who a client is, also one of another machine."""
import contextlib
import socket
import threading

import pytest
import zc.monitor
from zc.monitor import peers
from zc_monitor_support.machines import HERE
from zc_monitor_support.machines import ask_from
from zc_monitor_support.machines import other_machine
from zc_monitor_support.support import wait_for


def test_a_client_that_has_gone():
    with socket.socket() as sock:
        assert peers.identify(sock) is peers.UNKNOWN
    assert not peers.UNKNOWN.is_local


@pytest.mark.parametrize('host', ['127.0.0.1', '127.9.9.9', '::1'])
def test_a_client_of_this_machine(host):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket(family))
        try:
            server.bind((host, 0))
        except OSError as error:
            pytest.skip(f'{host} is no address here: {error}')
        server.listen()
        client = stack.enter_context(socket.socket(family))
        client.connect(server.getsockname())
        accepted = stack.enter_context(server.accept()[0])
        own, port = client.getsockname()[:2]
        name = f'[{own}]' if ':' in own else own
        assert peers.identify(accepted) == peers.Peer(f'{name}:{port}', True)


def test_a_client_of_another_machine():
    zc.monitor.register(
        lambda connection: connection.write(f'{connection.peer.is_local}\n'),
        'local')
    with other_machine() as machine, \
            zc.monitor.Listener((HERE, 0)) as listener:
        assert ask_from(machine, listener.address[1], 'local') == 'False\n'
        # From here, it is the same machine, by the same address.
        assert zc.monitor.ask(listener.address, 'local') == 'True\n'


STAY = """\
import socket, sys
address, answered = sys.argv[1:3], sys.argv[3]
socks = [socket.create_connection(address, 30) for _number in range(3)]
files = [sock.makefile() for sock in socks]
for sock, file in zip(socks, files, strict=True):
    sock.sendall(b'interactive\\n')
    print(file.readline(), end='')
print(files[-1].read(), end='', flush=True)
open(answered, 'w').close()
try:
    socks[0].recv(1)
except OSError:
    pass    # reset, as the server has closed it
"""


def test_interactive_clients_of_another_machine_leave_room(tmp_path):
    zc.monitor.register_basics()
    told = []
    answered = tmp_path / 'answered'
    limits = zc.monitor.Limits(interactive_remote=2, interactive=3)
    with other_machine() as machine, \
            zc.monitor.Listener((HERE, 0), limits) as listener:
        asker = threading.Thread(target=lambda: told.append(
            machine('-c', STAY, HERE, str(listener.address[1]),
                    str(answered))))
        asker.start()
        try:
            wait_for(lambda: answered.exists() or not asker.is_alive())
            with socket.create_connection(listener.address) as sock:
                sock.sendall(b'interactive\nquit\n')
                assert 'Goodbye.' in sock.makefile().read()
        finally:
            listener.close()
            asker.join()
    assert told[0].splitlines() == [
        *['Interactive mode on.  Use "quit" to exit.'] * 3,
        'Too many interactive sessions: 2 are open. Try again later.']
