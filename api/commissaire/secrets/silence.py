"""Backends that hang: whoever asks for a secret may hold the database's only write lock, so not everybody may wait."""

from __future__ import annotations

import time

from commissaire.secrets.errors import StoreUnavailable

PAUSE_SECONDS = 10.0


class Silence:
    """Notes that a backend let somebody wait in vain; for a while nobody else does. Thread-safe."""

    def __init__(self) -> None:
        self._until = 0.0

    def note(self) -> None:
        """Say that the backend gave no answer in time."""
        self._until = time.monotonic() + PAUSE_SECONDS

    def check(self, where: str) -> None:
        """Refuse to ask *where* too soon after that.

        Raises:
            StoreUnavailable: it gave no answer a moment ago.
        """
        if time.monotonic() < self._until:
            raise StoreUnavailable(
                f"{where} gave no answer in time a moment ago, and is asked again {PAUSE_SECONDS:.0f} s after that; "
                "see what holds it up"
            )
