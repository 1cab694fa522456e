"""The agent's replies in xenstore, which nobody else removes."""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING, Callable, Dict, Optional, Set

from singularity import nova
from singularity.channels.xenstore_wire import MOST_PAYLOAD, Lost, XenstoreClient

if TYPE_CHECKING:
    from singularity.loop import Handle, Loop

log = logging.getLogger(__name__)
REPLIES = "data/guest"
KEEP_SECONDS = 600
"""A host waits 300 s for a machine that boots, and less for all else."""
READ_SECONDS = 3
"""A host looks for its reply twice a second."""


class Replies:
    """Writes replies, and removes them when the host must have read them.

    A domain may have 1000 nodes, and in one of them some fifty with names as long as hosts give (its names count for
    its size, of which 2048 bytes are allowed). So where there is no room the oldest reply goes; where even that is so
    new that the host may not have read it, a reply waits, and with it all requests: see `full`.
    """

    def __init__(
        self,
        client: XenstoreClient,
        loop: Loop,
        unsent: Dict[str, bytes],
        room: Callable[[], None],
        lost: Callable[[str], None],
    ) -> None:
        """*unsent*: replies that another connection has left; this one leaves there what it could not write.

        *room* is called when they are full no more, *lost* when xenstore is gone.
        """
        self._client = client
        self._loop = loop
        self._room = room
        self._lost = lost
        self._written: Dict[str, float] = {}
        self._foreign: Set[str] = set()
        self._unsent = unsent
        self._timer: Optional[Handle] = None

    @property
    def full(self) -> bool:
        """Whether a reply waits for room, so that no request should be taken."""
        return bool(self._unsent)

    def adopt(self) -> None:
        """Write what was left to write, and remove in time what an earlier run left: a host may still wait for both."""
        try:
            names = self._client.list(REPLIES)
        except OSError:
            names = []
        self._written = dict.fromkeys(names, time.monotonic())
        self._foreign = set(names)
        self._send()
        self._wait()

    def has(self, name: str) -> bool:
        """Return whether there is a reply of that name. Raises Lost."""
        try:
            return bool(self._client.read(f"{REPLIES}/{name}"))
        except OSError:
            return False

    def write(self, name: str, answer: bytes) -> None:
        """Write one reply now or, where there is no room, soon; or in its place that it is too long. Raises Lost."""
        limit = MOST_PAYLOAD - len(f"{REPLIES}/{name}".encode("utf-8", "surrogateescape")) - 1
        self._unsent[name] = answer if len(answer) <= limit else nova.too_long(limit)
        self._send()
        self._wait()

    def close(self) -> None:
        """Remove none any more."""
        if self._timer:
            self._timer.cancel()

    def _send(self) -> None:
        """Write what waits, as far as there is room for it."""
        while self._unsent:
            name, answer = next(iter(self._unsent.items()))
            try:
                self._client.write(f"{REPLIES}/{name}", answer)
            except OSError as error:
                if error.errno == errno.ENOSPC and self._written:
                    if time.monotonic() - next(iter(self._written.values())) < READ_SECONDS:
                        return
                    self._remove(next(iter(self._written)))
                    continue
                log.error("reply %.80s can't be written: %s", name, error.strerror)
            else:
                self._foreign.discard(name)
                self._written.pop(name, None)
                self._written[name] = time.monotonic()
            del self._unsent[name]

    def _remove(self, name: str) -> None:
        del self._written[name]
        if name in self._foreign and not self._is_ours(name):
            return
        try:
            self._client.remove(f"{REPLIES}/{name}")
        except OSError as error:
            log.info("reply %.80s can't be removed: %s", name, error.strerror)

    def _is_ours(self, name: str) -> bool:
        self._foreign.discard(name)
        try:
            return b'"returncode"' in self._client.read(f"{REPLIES}/{name}")
        except OSError:
            return False

    def _wait(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._written:
            keep = READ_SECONDS if self.full else KEEP_SECONDS
            seconds = next(iter(self._written.values())) + keep - time.monotonic()
            self._timer = self._loop.later(max(0.1, seconds), self._go_on)

    def _go_on(self) -> None:
        """Remove what is too old, and write what waits for that."""
        self._timer = None
        was_full = self.full
        try:
            for name, when in list(self._written.items()):
                if time.monotonic() - when < KEEP_SECONDS:
                    break
                self._remove(name)
            self._send()
        except Lost as error:
            self._lost(str(error))
            return
        self._wait()
        if was_full and not self.full:
            self._room()
