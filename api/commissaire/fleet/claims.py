"""A server's claim to an operation: what it records of it counts only until another server has taken it over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import Session, col, select

from commissaire.clock import now
from commissaire.records import Operation, OperationState

EXPIRY_SECONDS = 10.0
"""A server that has said nothing in the database for so long is gone; another one takes its operations over."""
TRUST_SECONDS = 7.0
"""How long a playbook runs at most after its server said so: it is gone before somebody can take its hosts over."""


@dataclass(frozen=True)
class Claim:
    """One attempt at an operation. Each claim begins another attempt, so the number says whose the operation is."""

    operation_id: int
    attempt: int


class ClaimLost(Exception):
    """Somebody has taken the operation over: nothing more of this attempt counts."""


def held(session: Session, claim: Claim) -> Operation:
    """Return the operation, which stays ours until the end of the transaction.

    Raises:
        ClaimLost: it isn't ours any more.
    """
    operation = session.exec(
        select(Operation)
        .where(Operation.id == claim.operation_id, Operation.attempt == claim.attempt)
        .where(Operation.state == OperationState.RUNNING)
        .with_for_update(key_share=True)
    ).first()
    if operation is None:
        raise ClaimLost(f"attempt {claim.attempt} at operation {claim.operation_id} was taken over")
    return operation


def renew(session: Session, owner: str, claims: Iterable[Claim]) -> set[Claim]:
    """Say that *owner* is there, and works on these operations; return the claims that still hold."""
    mine = (
        col(Operation.id).in_([claim.operation_id for claim in claims]),
        col(Operation.owner) == owner,
        col(Operation.state) == OperationState.RUNNING,
    )
    rows = session.connection().execute(
        update(Operation).where(*mine).values(heartbeat_at=now()).returning(col(Operation.id), col(Operation.attempt))
    )
    return {Claim(operation_id or 0, attempt) for operation_id, attempt in rows} & set(claims)
