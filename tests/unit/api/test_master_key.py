"""Where the master key comes from."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commissaire.database import Database
from commissaire.records import Secret
from commissaire.secrets.errors import SecretError
from commissaire.secrets.factory import master_key, open_store
from commissaire.secrets.master_key import find_master_key, make_key_file
from commissaire.settings import Settings

KEY = bytes(range(32))
ENCODED = base64.b64encode(KEY).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "master.key"


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_a_key_file_is_made_once_for_its_owner_alone(path: Path) -> None:
    first = make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert make_key_file(path) == first == find_master_key(path, {})
    assert len(first.key) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o660])
def test_a_master_key_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    make_key_file(path)
    path.chmod(mode)
    with pytest.raises(SecretError, match="chmod 600"):
        find_master_key(path, {})


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_master_key_of_another_size_is_refused(path: Path, size: int) -> None:
    write(path, bytes(size))
    with pytest.raises(SecretError, match=f"holds {size} bytes"):
        find_master_key(path, {})
    for text in (base64.b64encode(b"x" * size).decode(), "x" * 5, "no base64!"):
        with pytest.raises(SecretError, match=r"COMMISSAIRE_MASTER_KEY holds .* where a master key has 32") as caught:
            find_master_key(path, {"COMMISSAIRE_MASTER_KEY": text})
        assert not text or text not in str(caught.value)


@pytest.mark.parametrize("content", [KEY, ENCODED.encode(), f"{ENCODED}\n".encode()])
def test_a_file_or_credential_holds_the_key_or_its_base64(path: Path, tmp_path: Path, content: bytes) -> None:
    assert find_master_key(path, {}) is None
    write(tmp_path / "commissaire-master-key", content)
    found = find_master_key(path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found is not None
    assert (found.key, found.file) == (KEY, None)
    found = find_master_key(write(path, content), {"CREDENTIALS_DIRECTORY": str(tmp_path / "other")})
    assert found is not None
    assert (found.key, found.file) == (KEY, path)


def test_the_environment_wins_over_the_credential_and_that_over_the_file(path: Path, tmp_path: Path) -> None:
    write(path, b"f" * 32)
    write(tmp_path / "commissaire-master-key", b"c" * 32)
    environ = {"COMMISSAIRE_MASTER_KEY": ENCODED, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = [find_master_key(path, environ), find_master_key(path, environ), find_master_key(path, {})]
    assert [each.key if each else None for each in found] == [KEY, b"c" * 32, b"f" * 32]
    assert "COMMISSAIRE_MASTER_KEY" not in environ, "it was taken out when it was read"


def test_no_child_process_inherits_the_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMISSAIRE_MASTER_KEY", ENCODED)
    assert find_master_key(path, os.environ)
    listing = [sys.executable, "-c", "import os; print(os.environ)"]
    child = subprocess.run(listing, capture_output=True, text=True, check=True)
    assert ENCODED not in child.stdout
    assert "PATH" in child.stdout


def test_a_key_that_vanished_is_not_made_anew(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    database = Database(settings.sqlalchemy_url)
    database.migrate()
    store = open_store(settings, database, {})
    with database.write() as session:
        store.put(session, "host/1", "ssh_priv_key", "x")
        key_id = session.get_one(Secret, ("host/1", "ssh_priv_key")).key_id
    (tmp_path / "master.key").unlink()
    with pytest.raises(SecretError, match=rf"no master key, and secrets are sealed with {key_id}; restore"):
        master_key(settings, database, {})
    assert not (tmp_path / "master.key").exists()
    database.close()
