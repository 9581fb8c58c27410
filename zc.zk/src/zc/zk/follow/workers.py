"""Find the worker processes of a proxy, by which a reload is seen.

``nginx -s reload`` only sends a signal, so that its exit status says nothing;
the same holds for ``systemctl reload`` of a unit that does so.
"""
from __future__ import annotations


class Workers:
    """The processes of that name whose parent has it, too.

    nginx's master and HAProxy's in its master-worker mode start workers when
    they are reloaded. HAProxy without a master starts itself anew.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def find(self) -> frozenset[tuple[int, float]]:
        """Return (process id, start time) of each worker; maybe of none.

        There are none for a proxy in another PID name space, of which
        nothing can be said.
        """
        import psutil  # which only this module of the room needs
        found: dict[int, tuple[int, float]] = {}
        for process in psutil.process_iter():
            try:
                if process.name() == self._name:
                    found[process.pid] = (process.ppid(),
                                          process.create_time())
            except psutil.Error:
                continue  # it has ended, or is not ours to look at
        return frozenset((pid, start)
                         for pid, (parent, start) in found.items()
                         if parent in found)
