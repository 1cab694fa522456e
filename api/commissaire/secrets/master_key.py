"""The master key: 32 bytes outside the database, from the environment, a systemd credential or a file."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from commissaire.secrets.errors import SecretError

KEY_BYTES = 32
VARIABLE = "COMMISSAIRE_MASTER_KEY"
CREDENTIAL = "commissaire-master-key"


@dataclass(frozen=True)
class MasterKey:
    """A master key, and where it came from."""

    key: bytes = field(repr=False)
    source: str = field(compare=False)
    file: Path | None = field(default=None, compare=False)
    """The file that is ours to replace when the key changes."""

    @property
    def id(self) -> str:
        """A name for the key that tells nothing about it."""
        return sha256(b"commissaire key id" + self.key).hexdigest()[:16]


def find_master_key(path: Path, environ: MutableMapping[str, str]) -> MasterKey | None:
    """Return the master key: `COMMISSAIRE_MASTER_KEY` (base64), else the systemd credential, else the file at *path*.

    The variable is taken out of *environ*, so that no child process inherits it. None when there is no key at all.

    Raises:
        SecretError: what is there is no master key, or others can read it.
    """
    text = environ.pop(VARIABLE, None)
    if text is not None:
        return MasterKey(_decoded(text.encode(), VARIABLE), VARIABLE)
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and (credential := Path(directory, CREDENTIAL)).exists():
        return MasterKey(_decoded(_content(credential), str(credential)), f"systemd credential {CREDENTIAL}")
    return read_key_file(path) if path.exists() else None


def read_key_file(path: Path) -> MasterKey:
    """Return the key in a file: 32 bytes, or their base64.

    Raises:
        SecretError: it is none, or others can read it.
    """
    if path.stat().st_mode & 0o077:
        raise SecretError(f"{path} can be read by others; run: chmod 600 {path}")
    return MasterKey(_decoded(_content(path), str(path)), str(path), path)


def make_key_file(path: Path) -> MasterKey:
    """Make a key in a file (mode 0600) that survives a crash; return the one that is there when there is one.

    Raises:
        SecretError: the file can't be written, or holds no key.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_key_file(path)
    except OSError as error:
        raise SecretError(f"can't make the master key {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
    return read_key_file(path)


def sync_directory(directory: Path) -> None:
    """Let what was made or renamed in a folder survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SecretError(f"can't read the master key {path}: {error.strerror}") from error


def _decoded(data: bytes, where: str) -> bytes:
    if len(data) == KEY_BYTES:
        return data
    try:
        decoded = base64.b64decode(data.strip(), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) == KEY_BYTES:
        return decoded
    held = f"base64 of {len(decoded)} bytes" if decoded else f"{len(data)} bytes"
    raise SecretError(
        f"{where} holds {held} where a master key has {KEY_BYTES}, or their base64; restore it from a backup"
    )
