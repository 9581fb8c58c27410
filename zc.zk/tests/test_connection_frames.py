"""Frames: bounds of length and of time, and what is no answer."""
import struct

import pytest
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import SessionExpiredError
from kazoo.exceptions import ZookeeperError
from zc.zk.connection import frames
from zc.zk.connection.frames import MAX_OTHER_SESSIONS
from zc.zk.connection.frames import FrameReader
from zc.zk.connection.frames import MalformedFrame
from zc.zk.connection.frames import SessionAnswers
from zc.zk.connection.frames import SessionRequest


def reader(*parts):
    """Return a reader of parts, and the seconds that it waits for each."""
    waits, left = [], list(parts)

    def receive(count, wait_s):
        waits.append(wait_s)
        part, rest = left[0][:count], left[0][count:]
        left[:1] = [rest] if rest else []
        return part

    return FrameReader(receive), waits


def test_frames_in_pieces():
    frame, waits = reader(b'\0', b'\0\0', b'\3a', b'bc\0\0\0\0')
    assert frame.read(9.) == b'abc'
    assert waits == [9.] + [2.] * 4  # once begun, it must not pause
    assert frame.read(.5) == b''
    assert waits[5:] == [.5]


@pytest.mark.parametrize('length', [-1, -2 ** 31, (64 << 20) + 1])
def test_impossible_lengths(length):
    frame, waits = reader(struct.pack('!i', length), b'x')
    with pytest.raises(MalformedFrame, match=f'a frame of {length} bytes'):
        frame.read(9.)
    assert len(waits) == 1


def test_memory_is_asked_for_in_parts():
    asked = []

    def receive(count, wait_s):
        asked.append(count)
        return struct.pack('!i', 3 << 20) if count == 4 else bytes(count)

    assert len(FrameReader(receive).read(9.)) == 3 << 20
    assert asked == [4, 1 << 20, 1 << 20, 1 << 20]


def test_a_frame_that_trickles(monkeypatch):
    now = [100.]
    monkeypatch.setattr(frames.time, 'monotonic', lambda: now[0])

    def receive(count, wait_s):
        now[0] += 1.9
        return b'\0\0\0\xff' if count == 4 else b'x'

    with pytest.raises(MalformedFrame, match='of 255 bytes are late'):
        FrameReader(receive).read(6.)
    assert now[0] < 112.


def answer(timeout=4000, password=bytes(16), rest=b'\0', session=7):
    length = -1 if password is None else len(password)
    return struct.pack('!iiqi', 0, timeout, session, length) + (
        password or b'') + rest


REQUEST = SessionRequest(0, 0, 4000, 0, b'\0' * 16, False)


@pytest.mark.parametrize('rest', [b'', b'\0'])
def test_answers_to_connect(rest):
    """ZooKeeper before 3.4 has no flag for read-only sessions."""
    got = REQUEST.read_answer(answer(rest=rest))
    assert (got.session_id, got.time_out, got.passwd) == (7, 4000, bytes(16))


@pytest.mark.parametrize('frame', [
    b'', b'abc', answer(password=None), answer(password=b''),
    answer(password=bytes(15)), answer(rest=b'\0\0'), answer(rest=b'\1'),
    answer()[:30], answer(0), answer(-5), answer(session=0)])
def test_no_answers_to_connect(frame):
    with pytest.raises(MalformedFrame):
        REQUEST.read_answer(frame)


@pytest.mark.parametrize('said, taken', [
    (4000, 4000), (8000, 8000), (2 ** 31 - 1, 10_000)])
def test_heartbeats_do_not_come_too_late(said, taken):
    assert REQUEST.read_answer(answer(said)).time_out == taken


def test_no_session_any_more():
    assert REQUEST.read_answer(answer(0, session=0)).time_out == 0


class Asked:
    """A request for a session, and the answers so far."""

    def __init__(self, session=0, password=bytes(16)):
        self.answers = SessionAnswers()
        self.request = REQUEST._replace(session_id=session, passwd=password)

    def check(self, **changes):
        """Return whether an answer is taken."""
        got = self.request.read_answer(answer(**changes))
        try:
            self.answers.check(self.request, got)
        except MalformedFrame:
            return False
        return True


def test_the_session_that_was_asked_for():
    asked = Asked(7)
    assert asked.check()
    assert not asked.check(session=8)
    assert not asked.check(password=b'x' * 16)
    assert asked.check()


def test_another_session_each_time():
    """Begin a new one where a server knows no sessions of before."""
    asked = Asked(7)
    for _ in range(2):
        for number in range(1, MAX_OTHER_SESSIONS):
            assert not asked.check(session=7 + number)
        with pytest.raises(SessionExpiredError):
            asked.check(session=8)
    assert not asked.check(session=8)
    assert asked.check(session=0, timeout=0)
    assert not asked.check(session=8)


def test_a_new_session_may_be_any():
    asked = Asked()
    assert asked.check(session=7)
    assert asked.check(session=8, password=b'x' * 16)


def test_a_time_out_that_differs_is_refused_once():
    asked = Asked()
    assert asked.check(timeout=5000)
    assert not asked.check(timeout=400)
    assert asked.check(timeout=5000)
    assert not asked.check(timeout=400)
    assert asked.check(timeout=400)  # the server's limits have changed
    assert not asked.check(timeout=5000)


def test_time_outs_that_differ_each_time():
    asked = Asked()
    assert asked.check(timeout=5000)
    assert not asked.check(timeout=400)
    assert not asked.check(timeout=800)
    assert asked.check(timeout=800)


def test_passwords_are_not_shown():
    password = bytes(range(65, 81))
    request = REQUEST._replace(passwd=password)
    got = request.read_answer(answer(password=password))
    assert got.passwd == password
    shown = f'{request} {request!r} {got} {got!r} {got.passwd!r} {got.passwd}'
    assert 'ABC' not in shown
    assert 'session_id=7' in shown


def test_errors():
    assert isinstance(frames.answered_error(-101), NoNodeError)
    newer = frames.answered_error(-199)
    assert type(newer) is ZookeeperError
    assert str(newer) == 'error -199, of a newer ZooKeeper'
    for code in 1, 77, -2 ** 31:
        with pytest.raises(MalformedFrame):
            frames.answered_error(code)
