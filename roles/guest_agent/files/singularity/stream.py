"""A stream of messages over a file descriptor: a connection to a socket, or a serial port."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Callable, Optional

from singularity.framing import Framer

if TYPE_CHECKING:
    from typing import Protocol

    from singularity.channels import Channel
    from singularity.dialects import Dialects
    from singularity.loop import Handle

    class Watcher(Protocol):
        """What a stream needs of Loop."""

        def watch(self, fd: int, callback: Callable[[], None], writable: bool = False) -> None: ...

        def unwatch(self, fd: int) -> None: ...

        def later(self, seconds: float, callback: Callable[[], None]) -> Handle: ...


log = logging.getLogger(__name__)
CHUNK = 65536
STALLED_SECONDS = 60.0
"""After which a message is given up whose rest does not come: what is here of it may be large."""


class Stream:
    """Answers what comes over one descriptor, one message a turn of the loop, so that others get theirs.

    It reads nothing while the other side doesn't take the answers.
    """

    def __init__(
        self, watcher: Watcher, fd: int, dialects: Dialects, channel: Channel, ended: Callable[[str], None], usual: str
    ) -> None:
        """*ended* is called with a reason when there is no more to read, which is empty where the other side went."""
        self._watcher = watcher
        self._fd = fd
        self._dialects = dialects
        self._channel = channel
        self._ended = ended
        self._usual = usual
        self._framer = Framer()
        self._output = bytearray()
        self._busy = False
        self._open = True
        self._heard = 0.0
        self._patience: Optional[Handle] = None
        watcher.watch(fd, self._ready)

    def reset(self) -> None:
        """Forget what was begun on either way: another one will speak now."""
        self._framer.reset()
        if self._output:
            self._output.clear()
            self._watcher.watch(self._fd, self._ready)

    def close(self) -> None:
        """Watch the descriptor no more; it remains the caller's to close."""
        if self._open:
            self._open = False
            if self._patience:
                self._patience.cancel()
            self._watcher.unwatch(self._fd)

    def _ready(self) -> None:
        if not self._busy:
            self._busy = True
            self._turn()

    def _turn(self) -> None:
        """Do one thing, and go on in the next turn, until there is nothing to do."""
        if not self._open:
            return
        self._busy = False
        if self._output or self._answer_next() or self._read():
            if self._output and not self._write():
                return
            if self._open and not self._busy:
                self._busy = True
                self._watcher.later(0, self._turn)
        elif self._patience is None and self._open and self._framer.has_begun:
            self._patience = self._watcher.later(STALLED_SECONDS, self._look_at_rest)

    def _look_at_rest(self) -> None:
        """Give up a message that was begun, if nothing came for long; else look again in time."""
        self._patience = None
        left = self._heard + STALLED_SECONDS - time.monotonic()
        if not self._framer.has_begun:
            return
        if left > 0:
            self._patience = self._watcher.later(left, self._look_at_rest)
            return
        log.warning("a message over %s is dropped: its rest did not come", self._channel.name)
        self._framer.reset()

    def _answer_next(self) -> bool:
        frame = self._framer.next()
        if frame is None:
            return False
        self._output += self._dialects.answer(frame, self._channel, self._usual)
        return True

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            self._ended(error.strerror or "it failed")
            return False
        if not data:
            self._ended("")
            return False
        self._heard = time.monotonic()
        self._framer.feed(data)
        return True

    def _write(self) -> bool:
        """Write what can be written now; return whether that was all. The rest is written when it can be."""
        try:
            done = os.write(self._fd, self._output)
        except BlockingIOError:
            done = 0
        except OSError as error:
            self._ended(error.strerror or "it failed")
            return False
        del self._output[:done]
        self._watcher.watch(self._fd, self._ready, writable=bool(self._output))
        return not self._output
