"""What the ini of a server says, for the verbs."""
from __future__ import annotations

import contextlib
import os

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.workers.protocol import WorkerOptions

# Seconds to start and to stop beyond what the options give it.
START_MARGIN_S = 30
STOP_MARGIN_S = 10

# Seconds for a server that is not ours, of whose options we know nothing.
OTHERS_S = 60

# Seconds for the stop of one of which the ini does not tell any more how long
# it may take: rather too long than that a request is lost.
UNKNOWN_S = 3600

# What has to be known for a stop, besides where the nodes are.
FOR_STOP = 'workers', 'deregister_wait', 'graceful_timeout'


class InstanceSettings:
    """The settings of the server at a instance.

    OptionsError with all that is wrong in the options.  `options` is None
    for a server that is not ours (``use-server`` of the recipe).

    `is_known` is whether the ini tells what a stop has to know.
    """

    is_known = True

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.ini = Ini(instance.ini, instance.overrides)
        self.options = self._parsed()

    def _parsed(self) -> Options | None:
        if not self.ini.is_ours:
            return None
        return option_table.parse(self.ini.options, self.ini.where)

    @classmethod
    def of_running(cls, instance: Instance) -> InstanceSettings:
        """The settings of the server as it was started.

        What `start` had on its command line stands for what this has not.
        """
        with contextlib.suppress(zdaemon.NotAllowed):
            take_over(instance)
        return cls(instance)

    @property
    def ours(self) -> Options:
        """The options; ConfigurationError when the server is not ours."""
        if self.options is None:
            raise ConfigurationError(
                f'{self.ini.where}: the server is not zc.zkzopeserver, and'
                ' not in ZooKeeper')
        return self.options

    @property
    def workers(self) -> int:
        """How many processes are to be registered."""
        return 1 if self.options is None else self.options.workers

    @property
    def start_timeout_s(self) -> float:
        """Seconds that a start may take."""
        if self.instance.start_timeout is not None:
            return float(self.instance.start_timeout)
        if self.options is None:
            return OTHERS_S
        return self.options.ready_timeout + START_MARGIN_S

    @property
    def stop_timeout_s(self) -> float:
        """Seconds that a stop may take; then it is SIGKILL.

        More than what the parent of several workers gives those.
        """
        if not self.is_known:
            return UNKNOWN_S
        if self.options is None:
            return OTHERS_S
        return WorkerOptions.of(self.options).stop_s + STOP_MARGIN_S


def take_over(instance: Instance) -> None:
    """Have what `start` had on its command line stand for what this has not.
    """
    if manager := zdaemon.find(instance.socket):
        instance.overrides = {**dict(manager.overrides), **instance.overrides}


class LenientSettings(InstanceSettings):
    """InstanceSettings of an ini that may be wrong by now: a stop has to work.

    Defaults stand for what is wrong; `options` is None when it cannot be
    known where the server is registered, as when the ini is gone or broken;
    `ini` is None then.
    """

    def __init__(self, instance: Instance) -> None:
        try:
            super().__init__(instance)
        except ConfigurationError as reason:
            if os.path.exists(instance.ini) and not os.access(instance.ini,
                                                           os.R_OK):
                raise
            self.instance = instance
            self.ini = self.options = None
            self.is_known = False
            self._reason = reason

    @property
    def ours(self) -> Options:
        """The options; ConfigurationError when there are none."""
        if self.ini is None:
            raise self._reason
        return super().ours

    def _parsed(self) -> Options | None:
        if not self.ini.is_ours:
            return None
        values, _ = option_table.check(self.ini.options)
        self.is_known = all(name in values for name in FOR_STOP
                            if name in self.ini.options)
        if 'zookeeper' in values and 'path' in values:
            return Options(values)
        self.is_known = False
        return None
