"""Open files that are handed out: what is written to one appears when it is closed, whole, or not at all."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from typing import Tuple

from singularity.errors import Refused
from singularity.paths import shown
from singularity.transaction import Transaction

_MODES = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}


def flags_of(mode: str) -> Tuple[int, bool]:
    """Return the flags of open(2) that a mode of fopen(3) means, and whether a file opened so is written anew."""
    flags = _MODES.get(mode.replace("b", "", 1)) if mode[:1] in ("r", "w", "a") else None
    if flags is None:
        raise Refused("a file is opened by r, r+, w, w+, a or a+")
    return flags, bool(flags & os.O_TRUNC)


class Staged(io.BufferedRandom):
    """A file that is written beside the one it will replace when it is closed; `abandon` it to leave that alone."""

    def __init__(self, transaction: Transaction, file: int, path: str) -> None:
        super().__init__(io.FileIO(file, "r+b"))
        self._transaction: Transaction | None = transaction
        self._path = path

    def close(self) -> None:
        """Put the file in its place. Raise Refused when it can't be, or could not be written whole."""
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        try:
            self.flush()
            os.fsync(self.fileno())
        except OSError as error:
            transaction.undo()
            with suppress(OSError):
                self.raw.close()
            raise Refused(f"{shown(self._path)} can not be written: {error.strerror}") from error
        super().close()
        transaction.commit()
        transaction.keep()

    def abandon(self) -> None:
        """Forget what was written."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.undo()
            with suppress(OSError):
                self.raw.close()

    def __del__(self) -> None:
        self.abandon()
