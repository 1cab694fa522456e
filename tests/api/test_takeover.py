"""Two servers on one database: what one of them loses to the other is not touched by it any more."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy.exc import OperationalError

from api.conftest import Fleet, checkpoint
from commissaire.clock import now
from commissaire.dispatch import workers as workers_module
from commissaire.dispatch.embedded import EmbeddedDispatcher
from commissaire.dispatch.workers import Workers
from commissaire.fleet import claims
from commissaire.fleet.claims import Claim, ClaimLost
from commissaire.launcher import kinds
from commissaire.launcher import launcher as launcher_module
from commissaire.launcher.launcher import Launcher
from commissaire.launcher.marker import RUN_MARKER
from commissaire.launcher.supervisors import Supervisors
from commissaire.records import Operation, OperationState

SILENT = "- hosts: all\n  gather_facts: false\n  connection: local\n  tasks: [{ansible.builtin.raw: sleep 120}]\n"


@pytest.fixture
def other(fleet: Fleet) -> EmbeddedDispatcher:
    """The dispatcher of another server on the same database."""
    return EmbeddedDispatcher(fleet.services.database, "another server")


def fall_silent(fleet: Fleet, operation: int) -> None:
    """Let the last heartbeat be so long ago that the server counts as gone."""
    with fleet.services.database.write() as session:
        session.get_one(Operation, operation).heartbeat_at = now() - timedelta(seconds=claims.EXPIRY_SECONDS + 1)


def of(fleet: Fleet, operation: int) -> Operation:
    with fleet.services.database.read() as session:
        return session.get_one(Operation, operation)


def test_a_heartbeat_tells_which_operations_are_still_ones_own(fleet: Fleet, other: EmbeddedDispatcher) -> None:
    fleet.cluster("web", "10.0.0.1")
    fleet.cluster("db", "10.0.0.2")
    mine = fleet.services.dispatcher
    first, second = fleet.restart("web"), fleet.restart("db")
    both = {Claim(first, 1), Claim(second, 1)}
    assert {mine.claim(("restart",), 0), mine.claim(("restart",), 0)} == both
    assert mine.heartbeat(both) == both
    fall_silent(fleet, first)
    assert other.recover(at_start=False) == [first]
    assert mine.heartbeat(both) == {Claim(second, 1)}
    assert other.claim(("restart",), 0) == Claim(first, 2)
    assert mine.heartbeat(both) == {Claim(second, 1)}
    assert other.heartbeat({Claim(first, 2)}) == {Claim(first, 2)}


def test_what_was_taken_over_and_came_back_is_another_claim(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    mine = fleet.services.dispatcher
    assert mine.claim(("restart",), 0) == Claim(operation, 1)
    fall_silent(fleet, operation)
    mine.recover(at_start=False)
    assert mine.claim(("restart",), 0) == Claim(operation, 2)
    assert mine.heartbeat({Claim(operation, 1), Claim(operation, 2)}) == {Claim(operation, 2)}


@pytest.mark.parametrize("claimed", [False, True])
def test_a_server_that_is_back_writes_nothing_of_what_another_one_has(
    fleet: Fleet, other: EmbeddedDispatcher, claimed: bool
) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1", "checking")])
    fall_silent(fleet, operation)
    other.recover(at_start=False)
    if claimed:
        other.claim(("restart",), 0)
    before = everything(fleet, operation)
    with pytest.raises(ClaimLost):
        journal.write([checkpoint("10.0.0.1", "rebooting", "failed", "no answer")])
    with pytest.raises(ClaimLost):
        journal.end("", cancelled=False)
    launcher: Any = Launcher(fleet.services.database, *[None] * 3, Path("/"), Path("/"))  # type: ignore[arg-type]
    for end in (
        lambda: launcher._settle(Claim(operation, 1), OperationState.FAILED, "no answer"),
        lambda: launcher._put_back(Claim(operation, 1), "killed"),
        lambda: launcher._hold(Claim(operation, 1), journal),
        lambda: launcher._begin(Claim(operation, 1)),
    ):
        with pytest.raises(ClaimLost):
            end()
    assert everything(fleet, operation) == before
    assert fleet.client.get("/api/v0/host/10.0.0.1").json()["status"] == "active"


def test_the_playbook_of_a_server_without_its_database_is_gone_before_another_one_takes_over(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, seconds in (
        (claims, "EXPIRY_SECONDS", 6.0),
        (launcher_module, "TRUST_SECONDS", 3.0),
        (workers_module, "TRUST_SECONDS", 3.0),
        (workers_module, "WISHES_SECONDS", 0.2),
        (workers_module, "HEARTBEAT_SECONDS", 0.5),
    ):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr("commissaire.dispatch.embedded.EXPIRY_SECONDS", 6.0)
    play = tmp_path / "silent.yml"
    play.write_text(SILENT)
    monkeypatch.setitem(kinds.KINDS, "restart", replace(kinds.KINDS["restart"], playbook=str(play)))
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    fleet.cluster("web")
    fleet.host("10.0.0.1", cluster="web", ssh_priv_key=base64.b64encode(pem).decode())
    fleet.end(1)
    operation = fleet.restart()

    first, second = tmp_path / "first", tmp_path / "second"
    with server(fleet, first) as dispatcher:
        until(lambda: processes_of(first, "sleep 120"), 30)
        time.sleep(4)  # longer than a supervisor trusts its server without a word
        assert processes_of(first, "sleep 120")

        def no_database(_: set[Claim]) -> set[Claim]:
            raise OperationalError("the database is away", None, OSError())

        monkeypatch.setattr(dispatcher, "heartbeat", no_database)
        monkeypatch.setattr(dispatcher, "claim", lambda *_: time.sleep(0.1))  # nor would it claim anything
        monkeypatch.setattr(Launcher, "_end", lambda *_: no_database(set()))
        until(lambda: not processes_of(first, "sleep 120"), 6)
        assert (of(fleet, operation).attempt, of(fleet, operation).state) == (1, "running")
        with server(fleet, second):
            until(lambda: processes_of(second, "sleep 120"), 30)
            assert processes_of(first, "sleep 120") == []
            taken = of(fleet, operation)
            assert (taken.attempt, taken.state, taken.owner) == (2, "running", "second")


@contextmanager
def server(fleet: Fleet, directory: Path) -> Iterator[EmbeddedDispatcher]:
    """The part of a server that carries operations out, with a data folder of its own."""
    services = fleet.services
    dispatcher, supervisors = EmbeddedDispatcher(services.database, directory.name), Supervisors()
    launcher = Launcher(
        services.database, services.secrets, services.notices, supervisors, directory, directory / "runtime"
    )
    workers = Workers(dispatcher, launcher, threads_per_lane=1)
    workers.start()
    try:
        yield dispatcher
    finally:
        workers.stop_claiming()
        supervisors.stop_all()
        workers.join(10)


def processes_of(directory: Path, command: str) -> list[int]:
    """Return the processes that run *command* for the server with that data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            marker = process.environ().get(RUN_MARKER, "")
            if marker.startswith(f"{directory}/") and " ".join(process.cmdline()) == command:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def everything(fleet: Fleet, operation: int) -> list[Any]:
    paths = ("", "/hosts", "/events")
    return [fleet.client.get(f"/api/v1/operations/{operation}{path}").json() for path in paths]


def test_the_heartbeat_outlives_whatever_goes_wrong_at_one(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clumsy:
        """Carries nothing out, and fails whenever it is asked what is wished."""

        asked = 0

        def obey(self, _: set[int]) -> None:
            self.asked += 1
            raise OSError(28, "No space left on device")

        def keep(self, _: set[int], until: float) -> None:
            assert until > time.monotonic()

    monkeypatch.setattr(workers_module, "WISHES_SECONDS", 0.01)
    carrier: Any = Clumsy()
    workers = Workers(EmbeddedDispatcher(fleet.services.database, "clumsy"), carrier, threads_per_lane=0)
    workers.start()
    until(lambda: carrier.asked > 1, 10)
    workers.stop_claiming()
    workers.join(10)
