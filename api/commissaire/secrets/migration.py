"""Bringing secrets from one backend to another (CPD-101's migration tool), with or without a running server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlmodel import col, func, select

from commissaire.database import Database
from commissaire.records import Secret
from commissaire.secrets.errors import SecretError
from commissaire.secrets.store import SecretStore

_BATCH = 100


def migrate(database: Database, store: SecretStore, to: str) -> Iterator[int]:
    """Bring all secrets to the backend *to*; yield how many at a time. What is there already stays.

    Each batch is a transaction: interrupted, the rest is where it was, and a second run goes on.

    Raises:
        SecretError: *to* is not configured, or a secret can't be read.
        StoreUnavailable: a backend does not answer.
    """
    if to not in store.backends:
        raise SecretError(f"{to} is not configured; see its settings in docs/server.md")
    target = SecretStore(store.backends, to)
    while True:
        with database.read() as session:
            found = session.exec(select(Secret).where(col(Secret.backend) != to).limit(_BATCH)).all()
        if not found:
            return
        copies = _copies(store, target, found)
        with database.write() as session:  # where nobody waits for a backend: others want to write, too
            for secret, copy in zip(found, copies, strict=True):
                present = session.get(Secret, (secret.owner, secret.field))
                if present is not None and (present.backend, present.sealed) == (secret.backend, secret.sealed):
                    target.replace(session, present, copy)
                else:
                    target.discard(session, copy)
        yield len(found)


def _copies(store: SecretStore, target: SecretStore, secrets: Sequence[Secret]) -> list[Secret]:
    values = []
    for value in store.open(secrets):
        if isinstance(value, SecretError):
            raise value
        values.append(value)
    return [target.seal(secret.owner, secret.field, value) for secret, value in zip(secrets, values, strict=True)]


def count(database: Database) -> Counter[str]:
    """Return how many secrets each backend keeps."""
    with database.read() as session:
        return Counter(dict(session.exec(select(Secret.backend, func.count()).group_by(Secret.backend)).all()))


def sweep(database: Database, store: SecretStore) -> dict[str, int]:
    """Delete what failures left behind at backends, and no record refers to; return how many values that were.

    Raises:
        StoreUnavailable: a backend does not answer.
    """
    swept = {}
    for name, backend in store.backends.items():
        with database.read() as session:
            used = set(session.exec(select(Secret.sealed).where(Secret.backend == name)))
        unused = backend.unused(used)
        backend.delete(unused)
        swept[name] = len(unused)
    return swept
