"""Test that leaks are found, and nothing else."""
import select
import socket
import subprocess
import sys
import threading

import pytest
from zc.zk.testing.leaks import no_leaks


def test_nothing_begun_nothing_found():
    with no_leaks():
        pass


def test_what_is_ended_is_no_leak():
    with no_leaks():
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        with socket.socket():
            pass


def test_what_ends_a_little_later_is_no_leak():
    done = threading.Event()
    with no_leaks():
        threading.Thread(target=done.wait, args=[5]).start()
        threading.Timer(.1, done.set).start()


def test_finds_a_thread_and_names_it():
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name='forgotten')
    with (pytest.raises(AssertionError, match='thread forgotten'),
          no_leaks(timeout=.05)):
        thread.start()
    done.set()
    thread.join()


def test_finds_a_socket():
    with (pytest.raises(AssertionError, match=r'descriptor \d+ \(socket:'),
          no_leaks(timeout=.05)):
        left = socket.socket()
    left.close()


def test_finds_a_process():
    with (pytest.raises(AssertionError, match=r'process \d+ \(.*-c'),
          no_leaks(timeout=.05)):
        left = subprocess.Popen([sys.executable, '-c', 'input()'],
                                stdin=subprocess.PIPE)
    left.communicate()


def test_an_error_is_not_hidden_by_a_leak():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    with pytest.raises(ZeroDivisionError), no_leaks(timeout=5):
        thread.start()
        raise ZeroDivisionError
    done.set()
    thread.join()


@pytest.mark.skipif(not hasattr(select, 'epoll'), reason='no epoll here')
def test_an_epoll_is_as_good_as_another():
    first = select.epoll()
    with no_leaks():
        second = select.epoll()  # under another number
        first.close()
    with pytest.raises(AssertionError, match='eventpoll'):
        with no_leaks(timeout=0):
            third = select.epoll()
    second.close()
    third.close()
