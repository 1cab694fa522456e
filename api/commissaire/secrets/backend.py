"""What keeps values: in their records, or elsewhere with a reference in their records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from commissaire.records import Secret
from commissaire.secrets.errors import SecretError

Opened = str | SecretError
"""A value, or why it can't be had."""


class Backend(Protocol):
    """Keeps values. Thread-safe."""

    def seal(self, secret: Secret, value: str) -> None:
        """Keep *value*, never in the place of another, and fill in *secret* so that `open` finds it.

        Raises:
            StoreUnavailable: it can't be kept.
        """

    def open(self, secrets: Sequence[Secret]) -> list[Opened]:
        """Return the value of each record, in their order; an error in its place when one is damaged or gone.

        Raises:
            StoreUnavailable: the backend does not answer.
        """

    def delete(self, references: Iterable[bytes]) -> None:
        """Delete what records, by their field `sealed`, referred to until their deletion was committed.

        Raises:
            StoreUnavailable: some of it is left.
        """

    def unused(self, used: set[bytes]) -> list[bytes]:
        """Return references that are older than any transaction and not in *used*.

        Raises:
            StoreUnavailable: the backend does not answer.
        """

    def close(self) -> None:
        """Close connections."""
