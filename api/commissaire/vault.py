"""Envelope encryption of secrets (CPD-101): AES-256-GCM, a data key for each value, wrapped by a master key.

The master key lies outside the database. Owner and field are bound into each value as associated data, so that a sealed
value moved to another row or column does not open.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import Session, delete

from commissaire.records import Secret

KEY_BYTES = 32
_NONCE_BYTES = 12


class VaultError(Exception):
    """A secret or the master key can't be used."""


@dataclass(frozen=True)
class Vault:
    """Seals and opens secrets with one master key (32 bytes)."""

    master_key: bytes = field(repr=False)

    @classmethod
    def from_file(cls, path: Path) -> Vault:
        """Read the master key, making it (mode 0600) when there is none.

        Raises:
            VaultError: the file can be read by others, or does not hold 32 bytes.
        """
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        except FileExistsError:
            pass
        if path.stat().st_mode & 0o077:
            raise VaultError(f"{path} can be read by others; run: chmod 600 {path}")
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise VaultError(
                f"{path} holds {len(key)} bytes where a master key has {KEY_BYTES}; restore it from a backup"
            )
        return cls(key)

    @property
    def key_id(self) -> str:
        """A name for the master key that tells nothing about it."""
        return sha256(b"commissaire key id" + self.master_key).hexdigest()[:16]

    def put(self, session: Session, owner: str, name: str, value: str) -> None:
        """Seal *value* and record it as *name* of *owner*, in place of an earlier one."""
        data_key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        bound = _bound(owner, name)
        session.merge(
            Secret(
                owner=owner,
                field=name,
                key_id=self.key_id,
                wrapped_key=_seal(self.master_key, data_key, bound),
                sealed=_seal(data_key, value.encode(), bound),
            )
        )

    def get(self, session: Session, owner: str, name: str) -> str | None:
        """Open *name* of *owner*; None when nothing is recorded.

        Raises:
            VaultError: another master key sealed it, or it was tampered with.
        """
        secret = session.get(Secret, (owner, name))
        return None if secret is None else self.open(secret)

    def open(self, secret: Secret) -> str:
        """Open one record; see `get` for the errors."""
        what = f"{secret.field} of {secret.owner}"
        if secret.key_id != self.key_id:
            raise VaultError(
                f"{what} was sealed with master key {secret.key_id}, the present one is {self.key_id}; "
                "restore the master key that belongs to this database"
            )
        bound = _bound(secret.owner, secret.field)
        try:
            return _open(_open(self.master_key, secret.wrapped_key, bound), secret.sealed, bound).decode()
        except InvalidTag as error:
            raise VaultError(f"{what} does not open: the record was changed outside Commissaire") from error

    @staticmethod
    def forget(session: Session, owner: str) -> None:
        """Delete everything that is recorded for *owner*."""
        session.exec(delete(Secret).where(Secret.owner == owner))  # type: ignore[arg-type]


def _bound(owner: str, field: str) -> bytes:
    return f"{owner}\0{field}".encode()


def _seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _open(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
