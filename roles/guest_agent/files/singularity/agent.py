"""The agent itself: its channels, open as long as it runs, and what it does on signals."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Callable, Dict, List, Optional

from singularity import channels, guest, log, notify
from singularity.channels.keeper import LONGEST_SECONDS, Keeper
from singularity.dialects import Dialects
from singularity.errors import Refused, SettingsError, place
from singularity.program import interpreter

if TYPE_CHECKING:
    from singularity.loop import Handle, Loop
    from singularity.settings import Settings

_log = logging.getLogger(__name__)
SUCCESSION_SECONDS = 1.0
"""Between the answer to agentupdate and the end: the hypervisor has it by then."""
LATEST_SUCCESSION_SECONDS = 30.0


class Agent:
    """One guest, and all channels to its hypervisor."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings], loop: Loop) -> None:
        """*reread* returns the settings as they are by then. Raises SettingsError."""
        self._settings = settings
        self._reread = reread
        self._loop = loop
        self._guest = guest.make(settings)
        self._guest.succeed = self._succeed
        self._dialects = Dialects(self._guest, loop)
        self._keepers: Dict[str, Keeper] = {}
        self._search: Optional[Handle] = None
        self._delay = 1.0
        self.successor: Optional[str] = None
        """The program that is to take over, once the loop has ended."""

    def open(self) -> None:
        """Open the channels; those that can't be opened are tried again."""
        self._search = None
        names = channels.resolve(self._settings.channels)
        for name in [name for name in self._keepers if name not in names]:
            self._keepers.pop(name).close()
        for name in names:
            if name not in self._keepers:
                self._keepers[name] = Keeper(channels.make(name, self._loop, self._dialects), self._loop)
                self._keepers[name].open()
        if not names:
            _log.log(logging.WARNING if self._delay == 1.0 else logging.DEBUG, "no channel to a hypervisor is here")
            self._search = self._loop.later(self._delay, self.open)
            self._delay = min(2 * self._delay, LONGEST_SECONDS)

    def close(self) -> None:
        """Close the channels."""
        if self._search:
            self._search.cancel()
        for keeper in self._keepers.values():
            keeper.close()
        self._keepers.clear()
        self._dialects.close()

    def reload(self) -> None:
        """Read the configuration anew. What is wrong in it is logged only; channels that remain go on."""
        notify.reloading()
        try:
            settings = self._reread()
            log.configure(settings.log_level, settings.log_handler)
            made = guest.make(settings)
        except (SettingsError, Refused) as error:
            _log.error("the configuration is not reloaded: %s", error)
        except OSError as error:
            _log.error("the configuration is not reloaded: %s: %s", error.filename, error.strerror)
        else:
            self._settings = settings
            self._guest.settings, self._guest.files, self._guest.cache = made.settings, made.files, made.cache
            if self._search:
                self._search.cancel()
            self._delay = 1.0
            self.open()
            _log.info("the configuration is reloaded")
        notify.notify("READY=1")

    def stop(self) -> None:
        """Let the loop end, and nobody take over: nobody would watch whether that one comes up."""
        _log.info("stopping")
        if self.successor:
            with suppress(OSError):
                os.unlink(self.successor)
            self.successor = None
        self._loop.stop()

    def _succeed(self, program: str) -> None:
        if self.successor:
            raise Refused("Another version is about to take over already")
        self.successor = program
        latest = time.monotonic() + LATEST_SUCCESSION_SECONDS
        self._loop.later(SUCCESSION_SECONDS, lambda: self._hand_over(latest))

    def _hand_over(self, latest: float) -> None:
        """Let the loop end, unless a host that has our key is about to send its password: the successor has no key."""
        waiting = any(keeper.channel.exchange.is_open for keeper in self._keepers.values())
        if waiting and time.monotonic() < latest:
            self._loop.later(SUCCESSION_SECONDS, lambda: self._hand_over(latest))
        else:
            self._loop.stop()


def replace_process(program: str, arguments: List[str], folder: str) -> None:
    """Put *program* in the place of the running one, and start it in this very process; does not return.

    Where it can't be started, or does not come up, the former one is put back and started. Raises OSError where that
    can't be done either.
    """
    import sys

    from singularity import succession, update

    path = os.path.abspath(sys.argv[0])
    command = [*interpreter(), path, *arguments]
    os.chdir(folder)
    try:
        update.install(program)
        succession.guard(update.roll_back, command)
    except (OSError, Refused) as error:
        _log.error("the new version can't be installed: %s at %s", error, place(error))
    try:
        os.execv(sys.executable, command)
    except OSError:
        update.roll_back()
        os.execv(sys.executable, command)
