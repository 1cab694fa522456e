"""Another master key: all data keys are wrapped anew in one transaction; the values stay as they are.

The new key lies beside the old one until the database is committed. Whatever interrupts that, the next start finds
both, and the database says which of them is in force.
"""

from __future__ import annotations

from pathlib import Path

from sqlmodel import col, func, select

from commissaire.database import Database
from commissaire.records import Secret
from commissaire.secrets.embedded import rewrap
from commissaire.secrets.errors import SecretError
from commissaire.secrets.master_key import MasterKey, make_key_file, read_key_file, sync_directory


def rotate_file(database: Database, old: MasterKey, path: Path) -> tuple[MasterKey, int]:
    """Put a new master key in the place of the one in the file *path*; return it, and how many keys it wraps.

    The caller holds the data folder.

    Raises:
        SecretError: a secret does not open with the present key; nothing has changed.
    """
    new = make_key_file(_beside(path))
    try:
        count = rewrap_all(database, old, new)
    except SecretError:
        _beside(path).unlink()
        raise
    _take(path)
    return new, count


def finish_rotation(database: Database, path: Path) -> None:
    """Finish a rotation of the file *path* that was interrupted, or undo it when it was not committed.

    Raises:
        SecretError: the new key is in force, and damaged.
    """
    if not _beside(path).exists():
        return
    try:
        new = read_key_file(_beside(path))
    except SecretError:  # not even the key was whole yet
        if _count(database, read_key_file(path).id, others=True):
            raise
        _beside(path).unlink()
        return
    if _count(database, new.id):
        _take(path)
    else:
        _beside(path).unlink()


def check_no_rotation(path: Path) -> None:
    """Refuse to go on when a rotation of the file *path* was interrupted.

    Raises:
        SecretError: it was.
    """
    if _beside(path).exists():
        raise SecretError(
            f"a rotation of the master key was interrupted: {_beside(path)} is there; start the server, or run "
            "commissaire-secrets rotate: both finish it"
        )


def rewrap_all(database: Database, old: MasterKey, new: MasterKey) -> int:
    """Wrap all data keys with *new*, in one transaction; return how many.

    Raises:
        SecretError: one is not wrapped with *old*, or damaged; nothing has changed.
    """
    with database.write() as session:
        secrets = session.exec(select(Secret).where(Secret.backend == "embedded")).all()
        for secret in secrets:
            rewrap(old, new, secret)
            session.add(secret)
        return len(secrets)


def _take(path: Path) -> None:
    _beside(path).replace(path)
    sync_directory(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _count(database: Database, key_id: str, *, others: bool = False) -> int:
    which = col(Secret.key_id) != key_id if others else col(Secret.key_id) == key_id
    with database.read() as session:
        return session.exec(
            select(func.count()).select_from(Secret).where(col(Secret.backend) == "embedded", which)
        ).one()
