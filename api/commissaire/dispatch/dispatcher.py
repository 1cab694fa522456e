"""The border between asking for an operation and carrying it out: who gets which, and what happens when they vanish."""

from __future__ import annotations

from typing import Protocol

from sqlmodel import Session

from commissaire.fleet.claims import Claim
from commissaire.records import Operation


class Dispatcher(Protocol):
    """Hands queued operations to workers. Nothing but its implementation knows how."""

    def enqueue(self, session: Session, operation: Operation) -> None:
        """Queue *operation*; it counts when the session's transaction commits, with whatever else that holds."""

    def claim(self, kinds: tuple[str, ...], wait_seconds: float) -> Claim | None:
        """Take the oldest queued operation of one of *kinds* for this process; wait for one; None when none came."""

    def heartbeat(self, claims: set[Claim]) -> set[Claim]:
        """Say that this process works on these operations; return the claims that still hold."""

    def control(self, operation_id: int) -> None:
        """Tell the process that has the operation that something else is wished of it; it looks soon anyway."""

    def recover(self, *, at_start: bool) -> list[int]:
        """Queue again what nobody works on any more, at the start all that this owner had; return their ids."""
