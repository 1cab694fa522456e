"""The store of secrets: what belongs to whom is a record; the backend named in it keeps the value.

A value is kept under a new name each time, before the transaction commits, and deleted after it: whatever fails, a
record finds its value. What a failure leaves behind at a backend is found by `unused`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import structlog
from sqlalchemy import event
from sqlmodel import Session, col, select

from commissaire.records import Secret
from commissaire.records.batches import batched
from commissaire.secrets.backend import Backend, Opened
from commissaire.secrets.errors import SecretError, StoreUnavailable

log = structlog.get_logger(__name__)
_DELETED = "commissaire_deleted_secrets"


class SecretStore:
    """Secrets by owner (`host/1`, `container_manager/NAME`) and field, on sessions that the caller commits."""

    def __init__(self, backends: Mapping[str, Backend], used: str) -> None:
        self.backends = backends
        self.used = used

    def __repr__(self) -> str:
        return f"SecretStore(used={self.used!r})"

    def put(self, session: Session, owner: str, field: str, value: str) -> None:
        """Keep *value* as *field* of *owner*, in place of an earlier one.

        Raises:
            StoreUnavailable: the backend does not answer; nothing has changed.
        """
        secret = session.get(Secret, (owner, field)) or Secret(owner=owner, field=field)
        self.replace(session, secret, self.seal(owner, field, value))

    def seal(self, owner: str, field: str, value: str) -> Secret:
        """Keep *value* at the backend in use, without a session; return the record for `replace` or `discard`.

        Raises:
            StoreUnavailable: the backend does not answer.
        """
        sealed = Secret(owner=owner, field=field, backend=self.used)
        self.backends[self.used].seal(sealed, value)
        return sealed

    def replace(self, session: Session, secret: Secret, sealed: Secret) -> None:
        """Give a record what `seal` has returned for its owner and field; the value before is deleted."""
        before = (secret.backend, secret.sealed)
        secret.backend, secret.key_id = sealed.backend, sealed.key_id
        secret.wrapped_key, secret.sealed = sealed.wrapped_key, sealed.sealed
        session.add(secret)
        session.flush()
        self._delete_after_commit(session, [before])

    def discard(self, session: Session, sealed: Secret) -> None:
        """Delete what `seal` has kept in vain, when the session is committed."""
        self._delete_after_commit(session, [(sealed.backend, sealed.sealed)])

    def get(self, session: Session, owner: str, field: str) -> str | None:
        """Return *field* of *owner*; None when nothing is recorded.

        Raises:
            SecretError: it is recorded, and can't be had.
        """
        secret = session.get(Secret, (owner, field))
        if secret is None:
            return None
        (opened,) = self.open([secret])
        if isinstance(opened, SecretError):
            raise opened
        return opened

    def get_many(self, session: Session, owners: Sequence[str], field: str) -> dict[str, Opened]:
        """Return *field* of each owner that has it, or why it can't be had; backends are asked for all at once.

        Raises:
            StoreUnavailable: a backend does not answer.
        """
        found: list[Secret] = []
        for some in batched(owners):
            found.extend(session.exec(select(Secret).where(Secret.field == field, col(Secret.owner).in_(some))))
        return dict(zip([secret.owner for secret in found], self.open(found), strict=True))

    def open(self, secrets: Sequence[Secret]) -> list[Opened]:
        """Return the value of each record, or why it can't be had; see `get_many`."""
        by_backend: dict[str, list[int]] = defaultdict(list)
        for position, secret in enumerate(secrets):
            by_backend[secret.backend].append(position)
        opened: dict[int, Opened] = {}
        for name, positions in by_backend.items():
            some = [secrets[position] for position in positions]
            backend = self.backends.get(name)
            values = [_unconfigured(each) for each in some] if backend is None else backend.open(some)
            opened.update(zip(positions, values, strict=True))
        return [opened[position] for position in range(len(secrets))]

    def forget(self, session: Session, owner: str) -> None:
        """Delete everything that is recorded for *owner*."""
        secrets = session.exec(select(Secret).where(Secret.owner == owner)).all()
        for secret in secrets:
            session.delete(secret)
        session.flush()
        self._delete_after_commit(session, [(secret.backend, secret.sealed) for secret in secrets])

    def close(self) -> None:
        """Close connections to backends."""
        for backend in self.backends.values():
            backend.close()

    def _delete_after_commit(self, session: Session, values: Iterable[tuple[str, bytes]]) -> None:
        deleted: list[tuple[str, bytes]] | None = session.info.get(_DELETED)
        if deleted is None:
            session.info[_DELETED] = deleted = []
            event.listen(session, "after_commit", self._delete, once=True)
            event.listen(session, "after_soft_rollback", _keep_all, once=True)
        deleted.extend(values)

    def _delete(self, session: Session) -> None:
        values: list[tuple[str, bytes]] = session.info.pop(_DELETED, [])
        for name, backend in self.backends.items():
            references = [reference for owner, reference in values if owner == name and reference]
            try:
                backend.delete(references)
            except StoreUnavailable as error:
                log.warning("secrets_left_behind", backend=name, values=len(references), error=str(error))


def _keep_all(session: Session, _: object) -> None:
    session.info.pop(_DELETED, None)


def _unconfigured(secret: Secret) -> SecretError:
    return SecretError(
        f"{secret.field} of {secret.owner} lies in {secret.backend}, which is not configured; configure it, "
        "then commissaire-secrets migrate brings it here"
    )
