"""Frames: bounds of length and of time, and what is no answer."""
import struct

import pytest
from kazoo.exceptions import NoNodeError
from kazoo.exceptions import ZookeeperError
from zc.zk.connection import frames
from zc.zk.connection.frames import FrameReader
from zc.zk.connection.frames import MalformedFrame
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


def answer(timeout=4000, password=bytes(16), rest=b'\0'):
    length = -1 if password is None else len(password)
    return struct.pack('!iiqi', 0, timeout, 7, length) + (
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
    answer()[:30]])
def test_no_answers_to_connect(frame):
    with pytest.raises(MalformedFrame):
        REQUEST.read_answer(frame)


@pytest.mark.parametrize('said, taken', [
    (4000, 4000), (8000, 8000), (2 ** 31 - 1, 10_000), (0, 0), (-5, -5)])
def test_heartbeats_do_not_come_too_late(said, taken):
    assert REQUEST.read_answer(answer(said)).time_out == taken


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
