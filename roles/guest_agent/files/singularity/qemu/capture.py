"""What programs write, read as it comes, and kept up to a limit."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..loop import Loop

MOST_BYTES = 3 << 20
"""Of one stream: both, as Base64, are 8 MiB, and libvirt takes no answer of more than 10."""
PIECE_BYTES = 1 << 16


class Budget:
    """Bytes that all captures together may keep."""

    def __init__(self, left: int) -> None:
        self.left = left


class Capture:
    """One stream of a program. It is read to its end also beyond the limit, so that the program isn't stopped by it."""

    def __init__(self, pipe: IO[bytes], loop: Loop, budget: Budget) -> None:
        self.is_complete = False
        self.is_truncated = False
        self._pieces: list[bytes] = []
        self._held = 0
        self._pipe = pipe
        self._loop = loop
        self._budget = budget
        os.set_blocking(pipe.fileno(), False)
        loop.watch(pipe.fileno(), self._read)

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)

    def close(self) -> None:
        """Read no more, and give back what was kept."""
        self._end()
        self._budget.left += self._held
        self._held = 0
        self._pieces.clear()

    def _read(self, *_: Any) -> None:
        try:
            piece = os.read(self._pipe.fileno(), PIECE_BYTES)
        except BlockingIOError:
            return
        if not piece:
            self._end()
            return
        fits = max(0, min(len(piece), MOST_BYTES - self._held, self._budget.left))
        self.is_truncated = self.is_truncated or fits < len(piece)
        if fits:
            self._pieces.append(piece[:fits])
            self._held += fits
            self._budget.left -= fits

    def _end(self) -> None:
        if not self._pipe.closed:
            self._loop.unwatch(self._pipe.fileno())
            self._pipe.close()
        self.is_complete = True
