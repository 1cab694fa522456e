"""`commissaire-secrets`: status, rotation, migration, API keys, on a real data folder."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import select
from starlette.testclient import TestClient
from typer.testing import CliRunner

from api.conftest import PASSWORD, USER, settings_in
from commissaire.app import create_app
from commissaire.configuration import SettingsError
from commissaire.fleet.errors import FleetError
from commissaire.records import Secret
from commissaire.secrets import cli
from commissaire.secrets.errors import SecretError
from commissaire.services import Services
from commissaire.settings import Settings

HOSTS = [f"10.0.0.{number}" for number in range(1, 8)]


def encoded(address: str) -> str:
    return base64.b64encode(f"key of {address}".encode()).decode()


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    """Settings of a server that has run, and has hosts."""
    settings = settings_in(tmp_path, empty_database)
    with server(settings) as client:
        for address in HOSTS:
            assert client.put(f"/api/v0/host/{address}", json={"ssh_priv_key": encoded(address)}).status_code == 201
    return settings


@contextmanager
def server(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        client.auth = (USER, PASSWORD)
        yield client


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def run(settings: Settings, *words: str, **environ: str) -> Done:
    """Run a command in this process: to start Python takes longer than all that it does."""
    arguments = ["--no-config-file", "--data-dir", str(settings.data_dir), *words]
    ended = CliRunner().invoke(cli.app, arguments, env=environ)
    if isinstance(ended.exception, (SettingsError, SecretError, FleetError)):
        return Done(2, ended.stdout, str(ended.exception))
    return Done(ended.exit_code, ended.stdout, ended.stderr)


def said(settings: Settings, *words: str, **environ: str) -> str:
    done = run(settings, *words, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def check_readable(settings: Settings) -> None:
    with server(settings) as client:
        for address in HOSTS:
            assert client.get(f"/api/v0/host/{address}/creds").json()["ssh_priv_key"] == encoded(address)
        services: Services = client.app.state.services  # type: ignore[attr-defined]
        with services.database.read() as session:
            assert len({secret.key_id for secret in session.exec(select(Secret))}) == 1
    assert sorted(path.name for path in settings.data_dir.glob("master.key*")) == ["master.key"]
    assert (settings.data_dir / "master.key").stat().st_mode & 0o777 == 0o600


def test_another_master_key_opens_everything_and_the_old_one_nothing(settings: Settings) -> None:
    path = settings.data_dir / "master.key"
    old = path.read_bytes()
    assert "embedded: 7 secrets" in said(settings, "status")
    assert "7 secrets were sealed with master key" in said(settings, "rotate")
    assert path.read_bytes() != old
    check_readable(settings)
    path.write_bytes(old)
    done = run(settings, "rotate")
    assert done.returncode == 2
    assert "was sealed with master key" in done.stderr
    assert path.read_bytes() == old, "nothing has changed"


KILL = "os.kill(os.getpid(), signal.SIGKILL)"
POINTS = {
    "before the new key is whole": f"rotation.make_key_file = lambda path: (path.write_bytes(b'x' * 9), {KILL})",
    "before anything is wrapped": f"rotation.rewrap_all = lambda *_: {KILL}",
    "before the transaction commits": f"Session.commit = lambda self: (self.flush(), {KILL})",
    "before the new key is in its place": f"rotation._take = lambda path: {KILL}",
    "when the new key is in its place": f"rotation.sync_directory = lambda path: {KILL}",
}


@pytest.mark.parametrize("point", POINTS)
def test_a_rotation_that_is_killed_loses_nothing(settings: Settings, point: str) -> None:
    program = "\n".join(
        (
            "import os, signal",
            "from sqlmodel import Session",
            "from commissaire.secrets import rotation, cli",
            POINTS[point],
            "cli.rotate_file = rotation.rotate_file",
            "cli.main()",
        )
    )
    command = [sys.executable, "-c", program, "--no-config-file", "--data-dir", str(settings.data_dir), "rotate"]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    if (settings.data_dir / "master.key.new").exists():
        assert "both finish it" in run(settings, "status").stderr
    if point == "before the new key is in its place":
        assert "7 secrets were sealed" in said(settings, "rotate")
    check_readable(settings)


def test_no_key_is_rotated_under_a_running_server(settings: Settings) -> None:
    before = (settings.data_dir / "master.key").read_bytes()
    with server(settings):
        done = run(settings, "rotate")
        assert done.returncode == 2
        assert "another commissaire-server works on" in done.stderr
        assert "embedded: 7 secrets" in said(settings, "status")
    assert (settings.data_dir / "master.key").read_bytes() == before


def test_a_key_of_the_environment_is_rotated_into_a_file(settings: Settings, tmp_path: Path) -> None:
    path = settings.data_dir / "master.key"
    old = base64.b64encode(path.read_bytes()).decode()
    path.unlink()
    done = run(settings, "rotate", COMMISSAIRE_MASTER_KEY=old)
    assert done.returncode == 2
    assert "say where the new one goes: --new-key-file" in done.stderr
    file = tmp_path / "new.key"
    told = said(settings, "rotate", "--new-key-file", str(file), COMMISSAIRE_MASTER_KEY=old)
    assert "7 secrets" in told
    assert "in the place of COMMISSAIRE_MASTER_KEY" in told
    assert "COMMISSAIRE_MASTER_KEY" in said(settings, "status", COMMISSAIRE_MASTER_KEY=old)
    file.rename(path)
    check_readable(settings)


def test_api_ids_are_made_listed_and_deleted(settings: Settings) -> None:
    key = said(settings, "key", "create", "one").strip()
    done = run(settings, "key", "create", "one")
    assert (done.returncode, "--replace" in done.stderr) == (2, True)
    with server(settings) as client:
        for each, status in ((key, 200), ("x", 403)):
            headers = {"CUSTODIA_AUTH_ID": "one", "CUSTODIA_AUTH_KEY": each}
            assert client.get("/api/v0/secrets", headers=headers).status_code == status
        another = said(settings, "key", "create", "--replace", "one").strip()
        headers = {"CUSTODIA_AUTH_ID": "one", "CUSTODIA_AUTH_KEY": another}
        put = client.put("/api/v0/secrets/k", headers=headers, json={"type": "simple", "value": "v"})
        assert put.status_code == 201
        assert client.get("/api/v0/secrets", headers={**headers, "CUSTODIA_AUTH_KEY": key}).status_code == 403
        assert said(settings, "key", "list") == "one\n"
        assert said(settings, "key", "delete", "one") == "API id one is gone, and 1 secrets with it\n"
        assert client.get("/api/v0/secrets", headers=headers).status_code == 403
    for words in (["key", "delete", "one"], ["key", "create", "../x"], ["migrate", "--to", "custodia"]):
        done = run(settings, *words)
        assert done.returncode == 2
