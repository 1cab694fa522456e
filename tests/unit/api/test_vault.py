"""Secrets at rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from commissaire.database import Database
from commissaire.records import Secret
from commissaire.vault import Vault, VaultError

CANARY = "CANARY-in-a-coal-mine"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'commissaire.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.from_file(tmp_path / "master.key")


def test_a_secret_comes_back_as_it_was_and_is_readable_nowhere(
    database: Database, vault: Vault, tmp_path: Path
) -> None:
    with database.write() as session:
        vault.put(session, "host/1", "ssh_priv_key", CANARY)
    with database.read() as session:
        assert vault.get(session, "host/1", "ssh_priv_key") == CANARY
        assert vault.get(session, "host/2", "ssh_priv_key") is None
    for path in tmp_path.iterdir():  # the write-ahead log, too
        assert CANARY.encode() not in path.read_bytes()
        assert vault.master_key not in path.read_bytes() or path.name == "master.key"


def test_a_new_value_takes_the_place_of_the_old_one_and_forgetting_takes_all(database: Database, vault: Vault) -> None:
    with database.write() as session:
        for value in ("one", "two"):
            vault.put(session, "host/1", "ssh_priv_key", value)
        vault.put(session, "host/10", "ssh_priv_key", "ten")
    with database.write() as session:
        assert vault.get(session, "host/1", "ssh_priv_key") == "two"
        Vault.forget(session, "host/1")
    with database.read() as session:
        assert [secret.owner for secret in session.exec(select(Secret))] == ["host/10"]


@pytest.mark.parametrize("moved", [{"owner": "host/2"}, {"field": "token"}])
def test_a_record_that_was_moved_does_not_open(database: Database, vault: Vault, moved: dict[str, str]) -> None:
    with database.write() as session:
        vault.put(session, "host/1", "ssh_priv_key", CANARY)
        secret = session.exec(select(Secret)).one()
        for name, value in moved.items():
            setattr(secret, name, value)
        with pytest.raises(VaultError, match="changed outside Commissaire"):
            vault.open(secret)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(position=st.integers(0, 200), bit=st.integers(0, 7), column=st.sampled_from(["sealed", "wrapped_key"]))
def test_a_record_with_one_bit_changed_does_not_open(position: int, bit: int, column: str) -> None:
    vault = Vault(bytes(32))
    found: list[Secret] = []
    vault.put(type("Session", (), {"merge": lambda _, secret: found.append(secret)})(), "host/1", "key", CANARY)
    data = bytearray(getattr(found[0], column))
    data[position % len(data)] ^= 1 << bit
    setattr(found[0], column, bytes(data))
    with pytest.raises(VaultError):
        vault.open(found[0])


def test_another_master_key_is_told(database: Database, vault: Vault) -> None:
    with database.write() as session:
        vault.put(session, "host/1", "ssh_priv_key", CANARY)
        with pytest.raises(VaultError, match=f"sealed with master key {vault.key_id}.*restore the master key"):
            Vault(bytes(32)).get(session, "host/1", "ssh_priv_key")


def test_the_same_value_is_never_sealed_twice_alike(database: Database, vault: Vault) -> None:
    with database.write() as session:
        for owner in ("host/1", "host/2"):
            vault.put(session, owner, "ssh_priv_key", CANARY)
        one, two = session.exec(select(Secret)).all()
    assert one.sealed[12:] != two.sealed[12:]
    assert one.wrapped_key != two.wrapped_key


def test_the_master_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    first = Vault.from_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Vault.from_file(path) == first
    assert str(first.master_key) not in repr(first)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o660])
def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    Vault.from_file(path)
    path.chmod(mode)
    with pytest.raises(VaultError, match="chmod 600"):
        Vault.from_file(path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_master_key_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(VaultError, match=f"holds {size} bytes"):
        Vault.from_file(path)
