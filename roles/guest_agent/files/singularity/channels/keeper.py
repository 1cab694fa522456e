"""Channels that stay open: one that can't be opened, or vanishes, is opened again after a while."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Optional

from singularity.errors import reason

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.loop import Handle, Loop

log = logging.getLogger(__name__)
FIRST_SECONDS = 0.5
LONGEST_SECONDS = 15.0
"""Half of what a host waits for its answer."""
STEADY_SECONDS = 30.0


class Keeper:
    """Keeps one channel open, until `close`."""

    def __init__(self, channel: Channel, loop: Loop) -> None:
        self.channel = channel
        self._loop = loop
        self._delay = FIRST_SECONDS
        self._opened = 0.0
        self._timer: Optional[Handle] = None
        self._said = ""

    def open(self) -> None:
        """Open it now, or else later."""
        self._timer = None
        try:
            self.channel.open(self._lost)
        except OSError as error:
            self._again(f"can't be opened: {reason(error)}")
            return
        except Exception as error:
            self._again(f"can't be opened: {type(error).__name__}")
            return
        self._opened = time.monotonic()
        log.log(logging.WARNING if self._said else logging.INFO, "%s is open", self.channel.name)

    def close(self) -> None:
        """Close it for good."""
        if self._timer:
            self._timer.cancel()
        self.channel.close()

    def _lost(self, why: str) -> None:
        self.channel.close()
        if time.monotonic() - self._opened > STEADY_SECONDS:
            self._delay, self._said = FIRST_SECONDS, ""
        self._again(f"is lost: {why}")

    def _again(self, why: str) -> None:
        """Try again after a time that grows; say why once, not each time."""
        log.log(logging.DEBUG if why == self._said else logging.WARNING, "%s %s", self.channel.name, why)
        self._said = why
        self._timer = self._loop.later(self._delay, self.open)
        self._delay = min(2 * self._delay, LONGEST_SECONDS)
