"""Values sealed in the database: AES-256-GCM, a data key for each value, wrapped by a master key (envelopes, CPD-101).

The master key lies outside the database. Owner and field are bound into each value as associated data, so that a sealed
value moved to another row or column does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from commissaire.records import Secret
from commissaire.secrets.backend import Opened
from commissaire.secrets.errors import SecretError
from commissaire.secrets.master_key import KEY_BYTES, MasterKey

_NONCE_BYTES = 12


@dataclass(frozen=True)
class EmbeddedBackend:
    """Seals and opens secrets with one master key."""

    master_key: MasterKey

    def seal(self, secret: Secret, value: str) -> None:
        """See `Backend.seal`."""
        data_key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        bound = _bound(secret)
        secret.key_id = self.master_key.id
        secret.wrapped_key = _seal(self.master_key.key, data_key, bound)
        secret.sealed = _seal(data_key, value.encode(), bound)

    def open(self, secrets: Sequence[Secret]) -> list[Opened]:
        """See `Backend.open`: another master key sealed it, or it was tampered with."""
        return [self._open(secret) for secret in secrets]

    def delete(self, references: Iterable[bytes]) -> None:
        """See `Backend.delete`: the values went with their records."""

    def unused(self, used: set[bytes]) -> list[bytes]:
        """See `Backend.unused`: there is no value without a record."""
        return []

    def close(self) -> None:
        """See `Backend.close`."""

    def _open(self, secret: Secret) -> Opened:
        try:
            data_key = unwrap(self.master_key, secret)
            return _open(data_key, secret.sealed, _bound(secret)).decode()
        except SecretError as error:
            return error
        except InvalidTag:
            return _damaged(secret)


def unwrap(master_key: MasterKey, secret: Secret) -> bytes:
    """Return the data key of a record.

    Raises:
        SecretError: another master key wrapped it, or it was tampered with.
    """
    if secret.key_id != master_key.id:
        raise SecretError(
            f"{secret.field} of {secret.owner} was sealed with master key {secret.key_id}, the present one is "
            f"{master_key.id}; restore the master key that belongs to this database"
        )
    try:
        return _open(master_key.key, secret.wrapped_key, _bound(secret))
    except InvalidTag as error:
        raise _damaged(secret) from error


def rewrap(old: MasterKey, new: MasterKey, secret: Secret) -> None:
    """Wrap a record's data key with another master key; the value stays sealed.

    Raises:
        SecretError: *old* does not open it.
    """
    data_key = unwrap(old, secret)
    secret.wrapped_key = _seal(new.key, data_key, _bound(secret))
    secret.key_id = new.id


def _damaged(secret: Secret) -> SecretError:
    return SecretError(
        f"{secret.field} of {secret.owner} does not open: the record was changed outside Commissaire; "
        "record it anew, or restore the database from a backup"
    )


def _bound(secret: Secret) -> bytes:
    return f"{secret.owner}\0{secret.field}".encode()


def _seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _open(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
