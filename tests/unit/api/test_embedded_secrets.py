"""Secrets sealed in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from commissaire.database import Database
from commissaire.records import Secret
from commissaire.secrets.embedded import EmbeddedBackend
from commissaire.secrets.errors import SecretError
from commissaire.secrets.master_key import MasterKey, make_key_file
from commissaire.secrets.store import SecretStore

CANARY = "CANARY-in-a-coal-mine"


def store_with(key: MasterKey) -> SecretStore:
    return SecretStore({"embedded": EmbeddedBackend(key)}, "embedded")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'commissaire.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def key(tmp_path: Path) -> MasterKey:
    return make_key_file(tmp_path / "master.key")


@pytest.fixture
def store(key: MasterKey) -> SecretStore:
    return store_with(key)


def test_a_secret_comes_back_as_it_was_and_is_readable_nowhere(
    database: Database, store: SecretStore, key: MasterKey, tmp_path: Path
) -> None:
    with database.write() as session:
        store.put(session, "host/1", "ssh_priv_key", CANARY)
    with database.read() as session:
        assert store.get(session, "host/1", "ssh_priv_key") == CANARY
        assert store.get(session, "host/2", "ssh_priv_key") is None
    assert (tmp_path / "commissaire.db-wal").stat().st_size
    for path in tmp_path.iterdir():  # the write-ahead log, too
        assert CANARY.encode() not in path.read_bytes()
        assert key.key not in path.read_bytes() or path.name == "master.key"
    with sqlite3.connect(tmp_path / "commissaire.db") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    for needle in (CANARY.encode(), key.key):
        assert needle.hex().upper() not in dump.upper()
    assert "host/1" in dump
    assert CANARY not in dump


def test_a_new_value_takes_the_place_of_the_old_one_and_forgetting_takes_all(
    database: Database, store: SecretStore
) -> None:
    with database.write() as session:
        for value in ("one", "two"):
            store.put(session, "host/1", "ssh_priv_key", value)
        store.put(session, "host/1", "token", "three")
        store.put(session, "host/10", "ssh_priv_key", "ten")
    with database.write() as session:
        assert store.get(session, "host/1", "ssh_priv_key") == "two"
        assert store.get(session, "host/1", "token") == "three"
        store.forget(session, "host/1")
    with database.read() as session:
        assert [secret.owner for secret in session.exec(select(Secret))] == ["host/10"]


def test_many_are_opened_at_once_and_one_that_is_damaged_spoils_no_other(
    database: Database, store: SecretStore
) -> None:
    owners = [f"host/{number}" for number in range(1200)]
    with database.write() as session:
        for owner in owners:
            store.put(session, owner, "ssh_priv_key", f"key of {owner}")
        session.get_one(Secret, ("host/7", "ssh_priv_key")).key_id = "another"
    with database.read() as session:
        found = store.get_many(session, [*owners, "host/9999"], "ssh_priv_key")
    assert isinstance(found.pop("host/7"), SecretError)
    assert found == {owner: f"key of {owner}" for owner in owners if owner != "host/7"}


def test_a_secret_of_a_backend_that_is_not_configured_is_told(database: Database, store: SecretStore) -> None:
    with database.write() as session:
        session.add(Secret(owner="host/1", field="ssh_priv_key", backend="custodia", sealed=b"x"))
    with database.read() as session, pytest.raises(SecretError, match="lies in custodia, which is not configured"):
        store.get(session, "host/1", "ssh_priv_key")


@pytest.mark.parametrize("moved", [{"owner": "host/2"}, {"field": "token"}])
def test_a_record_that_was_moved_does_not_open(database: Database, store: SecretStore, moved: dict[str, str]) -> None:
    with database.write() as session:
        store.put(session, "host/1", "ssh_priv_key", CANARY)
        secret = session.exec(select(Secret)).one()
        for name, value in moved.items():
            setattr(secret, name, value)
        (opened,) = store.open([secret])
        assert "changed outside Commissaire" in str(opened)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(position=st.integers(0, 200), bit=st.integers(0, 7), column=st.sampled_from(["sealed", "wrapped_key"]))
def test_a_record_with_one_bit_changed_does_not_open(position: int, bit: int, column: str) -> None:
    backend = EmbeddedBackend(MasterKey(bytes(32), "a test"))
    secret = Secret(owner="host/1", field="key")
    backend.seal(secret, CANARY)
    data = bytearray(getattr(secret, column))
    data[position % len(data)] ^= 1 << bit
    setattr(secret, column, bytes(data))
    assert isinstance(backend.open([secret])[0], SecretError)


def test_another_master_key_is_told(database: Database, store: SecretStore, key: MasterKey) -> None:
    with database.write() as session:
        store.put(session, "host/1", "ssh_priv_key", CANARY)
        with pytest.raises(SecretError, match=rf"sealed with master key {key.id}.*restore the master key"):
            store_with(MasterKey(bytes(32), "a test")).get(session, "host/1", "ssh_priv_key")


def test_the_same_value_is_never_sealed_twice_alike(database: Database, store: SecretStore) -> None:
    with database.write() as session:
        for owner in ("host/1", "host/2"):
            store.put(session, owner, "ssh_priv_key", CANARY)
        one, two = session.exec(select(Secret)).all()
    assert one.sealed[12:] != two.sealed[12:]
    assert one.wrapped_key != two.wrapped_key


def test_nothing_shows_a_secret_or_a_key(store: SecretStore, key: MasterKey) -> None:
    for shown in (repr(store), repr(key), repr(store.backends["embedded"]), str(store.backends)):
        assert str(key.key) not in shown
        assert "b'" not in shown
