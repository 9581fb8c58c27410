"""A proxy behind which ZooKeeper seems to be slow."""
import queue
import socket
import threading
import time
from collections.abc import Callable

from zc_zk_support.frames import Frames


class Latency(Frames):
    """Forward frames, the answers after `delay_s`; a context manager."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.delay_s = 0.0

    def forward(self, source: socket.socket, sink: socket.socket,
                check: Callable) -> None:
        """Send on frames; those to the client later."""
        if check == self.request:
            super().forward(source, sink, lambda *_: False)
            return
        with _Later(sink, self) as later:
            super().forward(source, later, lambda *_: False)


class _Later:
    """A socket that sends everything when its time has come."""

    def __init__(self, sink: socket.socket, proxy: Latency) -> None:
        self._sink, self._proxy = sink, proxy
        self._frames: queue.SimpleQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> '_Later':
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._frames.put(None)
        self._thread.join()

    def sendall(self, frame: bytes) -> None:
        self._frames.put((time.monotonic() + self._proxy.delay_s, frame))

    def shutdown(self, how: int) -> None:
        self._sink.shutdown(how)

    def _run(self) -> None:
        while (item := self._frames.get()) is not None:
            due, frame = item
            time.sleep(max(due - time.monotonic(), 0))
            try:
                self._sink.sendall(frame)
            except OSError:
                return
