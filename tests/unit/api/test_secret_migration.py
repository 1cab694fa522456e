"""Secrets on their way from one backend to another, with a server beside it that goes on writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from commissaire.database import Database
from commissaire.records import Secret
from commissaire.secrets.backend import Opened
from commissaire.secrets.errors import SecretError, StoreUnavailable
from commissaire.secrets.migration import count, migrate
from commissaire.secrets.store import SecretStore

OWNERS = [f"host/{number}" for number in range(3)]


class Remote:
    """Keeps values in a dictionary; *on_seal* is called before each."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[bytes, str] = {}
        self.on_seal: Callable[[Secret], None] = lambda _: None
        self._sealed = 0

    def seal(self, secret: Secret, value: str) -> None:
        self.on_seal(secret)
        self._sealed += 1
        secret.key_id, secret.wrapped_key, secret.sealed = "", b"", f"{self.name}-{self._sealed}".encode()
        self.values[secret.sealed] = value

    def open(self, secrets: Sequence[Secret]) -> list[Opened]:
        return [self.values.get(secret.sealed, SecretError(f"{secret.owner} is gone")) for secret in secrets]

    def delete(self, references: Iterable[bytes]) -> None:
        for reference in references:
            del self.values[reference]

    def unused(self, used: set[bytes]) -> list[bytes]:
        return []

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'commissaire.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def near() -> Remote:
    return Remote("near")


@pytest.fixture
def far() -> Remote:
    return Remote("far")


@pytest.fixture
def store(database: Database, near: Remote, far: Remote) -> SecretStore:
    """A store with a secret of each owner in it."""
    store = SecretStore({"near": near, "far": far}, "near")
    with database.write() as session:
        for owner in OWNERS:
            store.put(session, owner, "ssh_priv_key", f"key of {owner}")
    return store


def values(database: Database, store: SecretStore) -> dict[str, Opened]:
    with database.read() as session:
        return store.get_many(session, OWNERS, "ssh_priv_key")


def test_the_database_can_be_written_while_values_are_on_their_way(
    database: Database, store: SecretStore, near: Remote, far: Remote, tmp_path: Path
) -> None:
    def write(_: Secret) -> None:
        with sqlite3.connect(tmp_path / "commissaire.db", timeout=0, isolation_level=None) as connection:
            connection.execute("BEGIN IMMEDIATE")
        connection.close()

    far.on_seal = write
    assert sum(migrate(database, store, "far")) == len(OWNERS)
    assert count(database) == {"far": len(OWNERS)}
    assert values(database, store) == {owner: f"key of {owner}" for owner in OWNERS}
    assert (len(far.values), near.values) == (len(OWNERS), {})


def test_a_secret_that_is_replaced_or_forgotten_meanwhile_stays_so_and_leaves_nothing_behind(
    database: Database, store: SecretStore, near: Remote, far: Remote
) -> None:
    def change(secret: Secret) -> None:
        far.on_seal = lambda _: None
        with database.write() as session:
            store.put(session, OWNERS[0], "ssh_priv_key", "another")
            store.forget(session, OWNERS[1])

    far.on_seal = change
    list(migrate(database, store, "far"))
    assert values(database, store) == {OWNERS[0]: "another", OWNERS[2]: f"key of {OWNERS[2]}"}
    assert (sorted(far.values.values()), near.values) == (["another", f"key of {OWNERS[2]}"], {})


def test_nothing_is_sent_when_one_of_them_can_not_be_read(
    database: Database, store: SecretStore, near: Remote, far: Remote
) -> None:
    del near.values[b"near-3"]
    with pytest.raises(SecretError, match="host/2 is gone"):
        list(migrate(database, store, "far"))
    assert far.values == {}
    assert count(database) == {"near": len(OWNERS)}


def test_a_backend_that_falls_silent_leaves_every_secret_where_it_was(
    database: Database, store: SecretStore, near: Remote, far: Remote
) -> None:
    def fall_silent(secret: Secret) -> None:
        if secret.owner == OWNERS[2]:
            raise StoreUnavailable("far does not answer")

    far.on_seal = fall_silent
    with pytest.raises(StoreUnavailable):
        list(migrate(database, store, "far"))
    assert count(database) == {"near": len(OWNERS)}
    assert values(database, store) == {owner: f"key of {owner}" for owner in OWNERS}
