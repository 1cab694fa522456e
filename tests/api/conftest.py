"""The whole application on a real SQLite file. Nothing runs playbooks: a test plays the worker where it needs one."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import true
from sqlmodel import SQLModel, delete, select
from starlette.testclient import TestClient

from commissaire.app import create_app
from commissaire.auth.httpbasicauth import hash_password
from commissaire.database import Database
from commissaire.fleet.claims import Claim
from commissaire.fleet.hypervisors import put_hypervisor
from commissaire.fleet.operations import settle
from commissaire.launcher.journal import Journal
from commissaire.launcher.kinds import KINDS
from commissaire.launcher.plan import Plan, make_plan
from commissaire.records import DEFAULT_NETWORK, Host, Operation, OperationState
from commissaire.services import Services
from commissaire.settings import Settings

USER, PASSWORD = "admin", "pass:wörd"
USERS = {USER: {"hash": hash_password(PASSWORD, rounds=4)}}
KEY = "dGVzdAo="
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMvNhLzLJ4vO4x4pvIbYtIbQ2iVXQh1mVY3uG7Q0pZkq"
ANOTHER_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOvNhLzLJ4vO4x4pvIbYtIbQ2iVXQh1mVY3uG7Q0pZkq"


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> Iterator[None]:
    """Logs cost more than what they tell of here."""
    render = structlog.processors.JSONRenderer()
    structlog.configure(processors=[render], logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the first start leaves it: migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "commissaire.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    """Settings for an application of a test's own."""
    return settings_in(tmp_path, empty_database)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[TestClient]:
    """The application that most tests share, running."""
    sources = {"cloudforms": {"inventory": "/etc/hosts"}}  # never asked here: no workers
    app = create_app(settings_in(tmp_path_factory.mktemp("shared"), empty_database, sources=sources))
    with TestClient(app, raise_server_exceptions=False, client=("10.9.9.9", 5000)) as client:
        client.auth = (USER, PASSWORD)
        yield client


@pytest.fixture
def client(running: TestClient) -> TestClient:
    """A client of an application without records."""
    services: Services = running.app.state.services  # type: ignore[attr-defined]
    with services.database.write() as session:
        for table in reversed(SQLModel.metadata.sorted_tables):
            which = table.c.name != DEFAULT_NETWORK if table.name == "network" else true()
            session.connection().execute(delete(table).where(which))
    return running


def settings_in(directory: Path, empty_database: Path, **others: Any) -> Settings:
    data_dir = directory / "data"
    data_dir.mkdir(mode=0o700)
    shutil.copy(empty_database, data_dir)
    plugin = {"name": "httpbasicauth", "users": USERS}
    values = {"workers": 0, "authentication_plugins": [plugin], "refusal_delay_seconds": 0, "local_hypervisor": ""}
    return Settings(data_dir=data_dir, **{**values, **others})


@dataclass
class Fleet:
    """Brings records into states that only playbooks bring them into otherwise."""

    client: TestClient
    services: Services

    def cluster(self, name: str = "web", *addresses: str) -> None:
        """Make a cluster of active hosts."""
        assert self.client.put(f"/api/v0/cluster/{name}").status_code == 201
        for address in addresses:
            self.host(address, cluster=name)

    def host(self, address: str, status: str = "active", **body: Any) -> None:
        """Make a host whose bootstrap has ended."""
        answer = self.client.put(f"/api/v0/host/{address}", json=body)
        assert answer.status_code == 201, answer.text
        self.set(answer.json()["address"], status=status)

    def set(self, address: str, **values: Any) -> None:
        """Change fields of a host's record."""
        with self.services.database.write() as session:
            host = session.exec(select(Host).where(Host.address == address)).one()
            for name, value in values.items():
                setattr(host, name, value)
            session.add(host)

    def hypervisor(self, name: str, uri: str, *, allowed: bool = True) -> None:
        """Record a hypervisor."""
        store = self.services.secrets
        with self.services.database.write() as session:
            put_hypervisor(session, store, name, uri=uri, allowed=allowed, virt_type="auto", pool="default")

    def restart(self, name: str = "web") -> int:
        """Ask for a restart; return the operation's id."""
        answer = self.client.put(f"/api/v0/cluster/{name}/restart")
        assert answer.status_code == 201, answer.text
        return int(answer.headers["Location"].rpartition("/")[2])

    def claim(self, kind: str = "restart") -> Journal:
        """Claim the next operation, as a worker does; return its journal."""
        claim = self.services.dispatcher.claim((kind,), 2)
        assert claim is not None
        return self.journal(claim, kind)

    def journal(self, claim: Claim, kind: str) -> Journal:
        """Return the journal of an operation that was claimed."""
        return Journal(self.services.database, self.services.notices, claim, KINDS[kind].effects)

    def end(self, operation_id: int, state: OperationState = OperationState.FINISHED, message: str = "done") -> None:
        """Bring an operation to its end, as the launcher does."""
        with self.services.database.write() as session:
            settle(session, session.get_one(Operation, operation_id), state, message)
        self.services.notices.publish(operation_id)

    def plan(self, operation_id: int, folder: Path) -> Plan:
        """Plan the next attempt at an operation, with *folder* as its directory."""
        with self.services.database.read() as session:
            operation = session.get_one(Operation, operation_id)
            return make_plan(session, self.services.secrets, operation, folder, folder)


def private_key() -> str:
    """Return a new key that ssh could use, as requests hold it."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return base64.b64encode(pem).decode()


def checkpoint(host: str, phase: str, state: str = "running", message: str = "", **data: Any) -> dict[str, Any]:
    """Return an entry as the launcher makes it of a checkpoint."""
    return {
        "type": "checkpoint", "time": "2026-11-21T09:00:00.123456+00:00", "host": host, "phase": phase, "task": phase,
        "state": state, "message": message, "data": data,
    }  # fmt: skip


@pytest.fixture
def fleet(client: TestClient) -> Fleet:
    return Fleet(client, client.app.state.services)  # type: ignore[attr-defined]
