"""What belongs to an operation in the store of secrets."""

from __future__ import annotations

from sqlmodel import Session

from commissaire.records import Operation
from commissaire.secrets.store import SecretStore


def secret_owner(operation: Operation) -> str:
    """Return the owner under which the store of secrets keeps what belongs to *operation*."""
    return f"operation/{operation.id}"


def forget_secrets(session: Session, store: SecretStore, operation: Operation) -> None:
    """Forget all that, as the operation has ended."""
    store.forget(session, secret_owner(operation))
