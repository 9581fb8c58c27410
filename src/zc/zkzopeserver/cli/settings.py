"""The settings of an instance: what its ini says, as the verbs need it."""
from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping

from zc.zkzopeserver import options as option_table
from zc.zkzopeserver.cli import environment
from zc.zkzopeserver.cli import pidfile
from zc.zkzopeserver.cli import zdaemon
from zc.zkzopeserver.cli.ini import Ini
from zc.zkzopeserver.cli.instance import Instance
from zc.zkzopeserver.errors import ConfigurationError
from zc.zkzopeserver.errors import NotProvenError
from zc.zkzopeserver.options import Options
from zc.zkzopeserver.workers.protocol import WorkerOptions

# What a start and a stop may take beyond the times that the options give.
START_MARGIN_S = 30
STOP_MARGIN_S = 10

# What either may take with a server that is not ours: its ini does not say.
OTHERS_S = 60

# What a stop may take when the ini no longer says it.  The server may still
# have requests in flight, which a SIGKILL would lose.
UNKNOWN_S = 3600

# The options that say how long a stop may take.
FOR_STOP = 'workers', 'deregister_wait', 'graceful_timeout'


@dataclasses.dataclass(frozen=True)
class InstanceSettings:
    """The settings of an instance.

    `server_options` are the strings of the server's section.  `options` are
    those of our own server; None, with `problem` to say why, for another
    server (``use-server`` of the recipe), or when they cannot be known.
    `is_known` is whether the ini says how long a stop may take.
    """

    instance: Instance
    server_options: Mapping[str, str]
    options: Options | None
    problem: str = ''
    is_known: bool = True

    @property
    def ours(self) -> Options:
        """The options; ConfigurationError when there are none."""
        if self.options is None:
            raise ConfigurationError(self.problem)
        return self.options

    @property
    def workers(self) -> int:
        """How many processes should be registered."""
        return 1 if self.options is None else self.options.workers

    @property
    def start_timeout_s(self) -> float:
        """How long a start may take, in seconds."""
        if self.instance.start_timeout is not None:
            return float(self.instance.start_timeout)
        if self.options is None:
            return OTHERS_S
        return self.options.ready_timeout + START_MARGIN_S

    @property
    def stop_timeout_s(self) -> float:
        """How long a stop may take before SIGKILL, in seconds.

        It is longer than what a parent of workers gives them.
        """
        if not self.is_known:
            return UNKNOWN_S
        if self.options is None:
            return OTHERS_S
        return WorkerOptions.of(self.options).stop_s + STOP_MARGIN_S


def read_settings(instance: Instance) -> InstanceSettings:
    """Read the settings of an instance from its ini.

    ConfigurationError when the ini cannot be read, OptionsError with all
    that is wrong in the options.
    """
    ini = Ini(instance)
    if not ini.is_ours:
        return _of_other(instance, ini)
    return InstanceSettings(instance, ini.options,
                            option_table.parse(ini.options, ini.where))


def read_running(instance: Instance) -> InstanceSettings:
    """Read the settings with which the server was started.

    See `read_settings` for what is raised.
    """
    add_start_options(instance)
    return read_settings(instance)


def read_for_restart(instance: Instance) -> InstanceSettings:
    """Read the settings with which the server would be started anew.

    Those of the first start's command line stay, those in the environment
    are of this process.  See `read_settings` for what is raised.
    """
    add_start_options(instance)
    instance.environment = None
    return read_settings(instance)


def read_for_stop(instance: Instance) -> InstanceSettings:
    """Read the settings of an ini that may be wrong by now.

    A server has to be stopped all the same: defaults stand for options that
    are wrong.  `options` is None as well when the ini is gone or broken, or
    no longer says where the server is registered.

    ConfigurationError only when this user is not allowed to read the ini.
    """
    add_start_options(instance)
    try:
        ini = Ini(instance)
    except ConfigurationError as error:
        if (os.path.exists(instance.ini)
                and not os.access(instance.ini, os.R_OK)):
            raise
        return InstanceSettings(instance, {}, None, str(error), False)
    if not ini.is_ours:
        return _of_other(instance, ini)
    values, problems = option_table.check(ini.options)
    if 'zookeeper' not in values or 'path' not in values:
        return InstanceSettings(instance, ini.options, None,
                                f'{ini.where}: {problems[0]}', False)
    is_known = all(name in values for name in FOR_STOP
                   if name in ini.options)
    return InstanceSettings(instance, ini.options, Options(values),
                            is_known=is_known)


def _of_other(instance: Instance, ini: Ini) -> InstanceSettings:
    return InstanceSettings(
        instance, ini.options, None, f'{ini.where}: the server is not'
        ' zc.zkzopeserver, and not in ZooKeeper')


def add_start_options(instance: Instance) -> None:
    """Add the options that the server was started with to the instance's.

    They are those of `start`'s command line, behind those of this one, and
    those in the environment of the server, instead of this process's.
    """
    with contextlib.suppress(zdaemon.NotAllowed):
        if manager := zdaemon.find(instance.socket):
            instance.overrides = {**dict(manager.overrides),
                                  **instance.overrides}
    with contextlib.suppress(NotProvenError):
        recorded = pidfile.read(instance.pid_file)
        if recorded and recorded.is_alive:
            instance.environment = environment.of_process(recorded.pid)
