"""What is behind `/api/v0/secrets`: for each API id a tree of its own, that no other can see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from commissaire.database import Database
from commissaire.fleet.errors import Refused
from commissaire.secrets import entries
from commissaire.secrets.api_keys import is_api_key
from commissaire.secrets.path import SecretPath
from commissaire.secrets.store import SecretStore


@dataclass(frozen=True)
class Caller:
    """An API id and the key that came with it."""

    api_id: str
    key: str = field(repr=False)


class SecretTree(Protocol):
    """Keeps secrets of callers, by path. Every method may block, and may raise StoreUnavailable."""

    def authenticate(self, caller: Caller) -> None:
        """Raise Refused when the key is not that of the API id."""

    def list(self, caller: Caller, path: SecretPath) -> list[str]:
        """Return what lies below a container, at any depth; containers end with `/`. Raises NotFound."""

    def get(self, caller: Caller, path: SecretPath) -> str:
        """Return a secret's value. Raises NotFound."""

    def put(self, caller: Caller, path: SecretPath, value: str) -> None:
        """Keep a new secret. Raises NotFound when its container does not exist, Conflict when it exists itself."""

    def make(self, caller: Caller, path: SecretPath) -> bool:
        """Make a container; return whether it is new. Raises NotFound when the one around it does not exist."""

    def delete(self, caller: Caller, path: SecretPath) -> None:
        """Forget a secret or an empty container. Raises NotFound, Conflict."""

    def close(self) -> None:
        """Close connections."""


class LocalTree:
    """A tree in the database, with its values in the store of secrets."""

    def __init__(self, database: Database, store: SecretStore) -> None:
        self._database = database
        self._store = store

    def authenticate(self, caller: Caller) -> None:
        """See `SecretTree.authenticate`."""
        with self._database.read() as session:
            if not is_api_key(session, caller.api_id, caller.key):
                raise Refused("the API id or its key is missing or wrong; commissaire-secrets key create makes them")

    def list(self, caller: Caller, path: SecretPath) -> list[str]:
        """See `SecretTree.list`."""
        with self._database.read() as session:
            return entries.list_container(session, caller.api_id, path)

    def get(self, caller: Caller, path: SecretPath) -> str:
        """See `SecretTree.get`."""
        with self._database.read() as session:
            return entries.get_value(session, self._store, caller.api_id, path)

    def put(self, caller: Caller, path: SecretPath, value: str) -> None:
        """See `SecretTree.put`."""
        with self._database.write() as session:
            entries.put_value(session, self._store, caller.api_id, path, value)

    def make(self, caller: Caller, path: SecretPath) -> bool:
        """See `SecretTree.make`."""
        with self._database.write() as session:
            return entries.make_container(session, caller.api_id, path)

    def delete(self, caller: Caller, path: SecretPath) -> None:
        """See `SecretTree.delete`."""
        with self._database.write() as session:
            entries.delete_entry(session, self._store, caller.api_id, path)

    def close(self) -> None:
        """See `SecretTree.close`: it has none of its own."""
