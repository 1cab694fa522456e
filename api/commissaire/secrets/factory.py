"""The store of secrets that the settings ask for."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from sqlmodel import col, select

from commissaire.database import Database
from commissaire.records import Secret
from commissaire.secrets.embedded import EmbeddedBackend
from commissaire.secrets.errors import SecretError
from commissaire.secrets.master_key import MasterKey, find_master_key, make_key_file
from commissaire.secrets.store import SecretStore
from commissaire.secrets.tree import LocalTree, SecretTree
from commissaire.settings import Settings


def open_store(settings: Settings, database: Database, environ: MutableMapping[str, str] = os.environ) -> SecretStore:
    """Return the store of secrets; the tables are there already. The first start makes the master key.

    Raises:
        SecretError: the master key can't be used.
    """
    return SecretStore({"embedded": EmbeddedBackend(master_key(settings, database, environ))}, "embedded")


def open_tree(settings: Settings, database: Database, store: SecretStore) -> SecretTree:
    """Return what is behind `/api/v0/secrets`."""
    return LocalTree(database, store)


def master_key(settings: Settings, database: Database, environ: MutableMapping[str, str]) -> MasterKey:
    """Return the master key, making one when nothing was ever sealed with another.

    Raises:
        SecretError: it can't be used, or is missing.
    """
    path = settings.data_dir / "master.key"
    found = find_master_key(path, environ)
    if found is not None:
        return found
    with database.read() as session:
        sealed_with = session.exec(select(Secret.key_id).where(col(Secret.backend) == "embedded")).first()
    if sealed_with is not None:
        raise SecretError(
            f"there is no master key, and secrets are sealed with {sealed_with}; restore {path}, or give the key as "
            "docs/server.md says"
        )
    return make_key_file(path)
