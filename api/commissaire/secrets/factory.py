"""The store of secrets that the settings ask for."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from sqlmodel import col, select

from commissaire.database import Database
from commissaire.records import Secret
from commissaire.secrets.backend import Backend
from commissaire.secrets.custodia import CustodiaBackend, CustodiaClient
from commissaire.secrets.custodia_tree import CustodiaTree
from commissaire.secrets.embedded import EmbeddedBackend
from commissaire.secrets.errors import SecretError
from commissaire.secrets.master_key import MasterKey, find_master_key, make_key_file
from commissaire.secrets.store import SecretStore
from commissaire.secrets.tree import LocalTree, SecretTree
from commissaire.settings import Settings


def open_store(settings: Settings, database: Database, environ: MutableMapping[str, str] = os.environ) -> SecretStore:
    """Return the store of secrets; the tables are there already. The first start makes the master key.

    Raises:
        SecretError: the master key can't be used, or a package is missing.
    """
    backends: dict[str, Backend] = {"embedded": EmbeddedBackend(master_key(settings, database, environ))}
    if settings.custodia_api_id is not None and settings.custodia_api_key is not None:
        client = CustodiaClient(settings.custodia_socket_path)
        backends["custodia"] = CustodiaBackend(
            client, settings.custodia_api_id, settings.custodia_api_key.get_secret_value()
        )
    if settings.vault_url is not None:
        backends["vault"] = _kv(settings)
    return SecretStore(backends, settings.secret_store)


def open_tree(settings: Settings, database: Database, store: SecretStore) -> SecretTree:
    """Return what is behind `/api/v0/secrets`."""
    if settings.secret_store == "custodia":
        return CustodiaTree(CustodiaClient(settings.custodia_socket_path))
    return LocalTree(database, store)


def _kv(settings: Settings) -> Backend:
    try:
        from commissaire.secrets.kv import KvBackend  # an optional extra
    except ImportError as error:
        raise SecretError(f"vault_url needs the package hvac ({error}); pip install 'commissaire[vault]'") from error
    return KvBackend(settings)


def key_file(settings: Settings) -> Path:
    """Return where the master key is, unless the environment or systemd has it."""
    return settings.data_dir / "master.key"


def master_key(settings: Settings, database: Database, environ: MutableMapping[str, str]) -> MasterKey:
    """Return the master key, making one when nothing was ever sealed with another.

    Raises:
        SecretError: it can't be used, or is missing.
    """
    path = key_file(settings)
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
