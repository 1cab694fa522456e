"""The agent's replies in xenstore, which nobody else removes, and of which a domain may have some hundreds."""

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
MOST = 500
"""A domain may have 1000 nodes, and has other ones, too."""
FEWEST = 50


class Replies:
    """Writes replies, and removes them when the host must have read them."""

    def __init__(self, client: XenstoreClient, loop: Loop, lost: Callable[[str], None]) -> None:
        self._client = client
        self._loop = loop
        self._lost = lost
        self._written: Dict[str, float] = {}
        self._foreign: Set[str] = set()
        self._timer: Optional[Handle] = None

    def adopt(self) -> None:
        """Remove in time what an earlier run of the agent left: its last reply may still be waited for."""
        try:
            names = self._client.list(REPLIES)
        except OSError:
            return
        self._written = dict.fromkeys(names, time.monotonic())
        self._foreign = set(names)
        self._wait()

    def write(self, name: str, answer: bytes) -> None:
        """Write one reply, or in its place that it is too long. What xenstore refuses is logged."""
        path = f"{REPLIES}/{name}"
        limit = MOST_PAYLOAD - len(path.encode("utf-8", "surrogateescape")) - 1
        if len(answer) > limit:
            answer = nova.too_long(limit)
        self._purge(MOST - 1)
        try:
            self._client.write(path, answer)
        except OSError as error:
            if not self._write_anew(path, answer, error):
                log.error("reply %.80s can't be written: %s", name, error.strerror)
                return
        self._foreign.discard(name)
        self._written.pop(name, None)
        self._written[name] = time.monotonic()
        self._wait()

    def close(self) -> None:
        """Remove none any more."""
        if self._timer:
            self._timer.cancel()

    def _write_anew(self, path: str, answer: bytes, error: OSError) -> bool:
        """Make room where the domain has no more, or say what fits where the answer is too long for this xenstore."""
        if error.errno not in (errno.ENOSPC, errno.E2BIG, errno.EINVAL):
            return False
        self._purge(FEWEST)
        for attempt in (answer, nova.too_long(2048)):
            try:
                self._client.write(path, attempt)
                return True
            except OSError:
                continue
        return False

    def _purge(self, most: int, before: float = 0.0) -> None:
        """Remove the oldest, down to *most* of them, and those written *before* then."""
        for name, when in list(self._written.items()):
            if len(self._written) <= most and when > before:
                return
            del self._written[name]
            if name in self._foreign and not self._is_ours(name):
                continue
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
        if self._written and not self._timer:
            oldest = next(iter(self._written.values()))
            self._timer = self._loop.later(max(1.0, oldest + KEEP_SECONDS - time.monotonic()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        try:
            self._purge(len(self._written), time.monotonic() - KEEP_SECONDS)
        except Lost as error:
            self._lost(str(error))
            return
        self._wait()
