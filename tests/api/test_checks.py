"""The watcher's rules and its route, on a real database; a test plays the playbook."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlmodel import select
from starlette.testclient import TestClient

from api.conftest import KEY, Fleet, checkpoint, settings_in
from commissaire.app import create_app
from commissaire.clock import now
from commissaire.fleet import checks, keys
from commissaire.fleet.checks import Outcome
from commissaire.launcher.reach import reach
from commissaire.metrics import Metrics
from commissaire.records import Host, HostStatus, Operation, OperationState
from commissaire.watcher import Watcher

INTERVAL = 1000.0
FACTS = {"os": "debian", "os_version": "13", "cpus": 8, "memory_kb": 1024, "space_bytes": 4096}
LOST = Outcome(failure="10.0.0.1 can't be reached: No route to host")


class Play:
    """Stands for the playbook: answers what a test wants, and remembers what it was asked."""

    def __init__(self) -> None:
        self.outcome = Outcome(facts=FACTS)
        self.asked: list[list[str]] = []
        self.meanwhile: Any = lambda: None

    def run(self, addresses: list[str]) -> tuple[dict[str, Outcome], str]:
        self.asked.append(addresses)
        self.meanwhile()
        return dict.fromkeys(addresses, self.outcome), ""


@pytest.fixture
def play() -> Play:
    return Play()


@pytest.fixture
def watcher(fleet: Fleet, play: Play) -> Watcher:
    database = fleet.services.database
    return Watcher(database, fleet.services.dispatcher, play, Metrics(database), INTERVAL)  # type: ignore[arg-type]


def host(fleet: Fleet, address: str = "10.0.0.1") -> Host:
    with fleet.services.database.read() as session:
        return session.exec(select(Host).where(Host.address == address)).one()


def due(fleet: Fleet, *addresses: str, **values: Any) -> None:
    """Make hosts that are due now."""
    for number, address in enumerate(addresses or ("10.0.0.1",)):
        fleet.host(address, ssh_priv_key=KEY)
        late = now() - timedelta(seconds=10 - number)
        fleet.set(address, **{"next_check_at": late, "bootstrapped": True, **values})


def test_a_host_that_answers_gets_its_facts_a_time_and_a_next_check(fleet: Fleet, watcher: Watcher) -> None:
    due(fleet, check_failures=1)
    before = now()

    assert watcher.look() == 1

    shown = fleet.client.get("/api/v1/hosts/10.0.0.1").json()
    assert (shown["status"], shown["os_version"], shown["cpus"], shown["check_failures"]) == ("active", "13", 8, 0)
    found = host(fleet)
    assert found.last_check is not None
    assert found.last_check >= before
    assert found.next_check_at is not None
    assert INTERVAL * 0.89 < (found.next_check_at - before).total_seconds() < INTERVAL * 1.11
    assert watcher.look() == 0


def test_one_failed_check_is_confirmed_by_a_second_one_soon(fleet: Fleet, watcher: Watcher, play: Play) -> None:
    due(fleet)
    play.outcome = LOST

    watcher.look()

    once = host(fleet)
    assert (once.status, once.check_failures, once.last_check) == ("active", 1, None)
    assert once.next_check_at is not None
    assert 0 < (once.next_check_at - now()).total_seconds() <= checks.CONFIRM_SECONDS

    fleet.set("10.0.0.1", next_check_at=now())
    watcher.look()

    shown = fleet.client.get("/api/v1/hosts/10.0.0.1").json()
    assert (shown["status"], shown["message"]) == ("failed", f"check: {LOST.failure}")
    assert fleet.client.get("/api/v0/host/10.0.0.1/status").json()["host"]["status"] == "failed"


def test_a_lost_packet_changes_nothing(fleet: Fleet, watcher: Watcher, play: Play) -> None:
    due(fleet)
    play.outcome = LOST
    watcher.look()
    play.outcome = Outcome(facts=FACTS)
    fleet.set("10.0.0.1", next_check_at=now())
    watcher.look()
    play.outcome = LOST
    fleet.set("10.0.0.1", next_check_at=now())
    watcher.look()
    assert (host(fleet).status, host(fleet).check_failures) == ("active", 1)


@pytest.mark.parametrize(("cluster", "status"), [("web", HostStatus.ACTIVE), (None, HostStatus.DISASSOCIATED)])
def test_a_failed_host_that_answers_is_taken_back(
    fleet: Fleet, watcher: Watcher, cluster: str | None, status: str
) -> None:
    fleet.cluster("web")
    fleet.host("10.0.0.1", cluster=cluster)
    fleet.set("10.0.0.1", status="failed", message="restart: gone", bootstrapped=True, next_check_at=now())
    watcher.look()
    assert (host(fleet).status, host(fleet).message) == (status, "")


def test_a_host_that_stays_away_tells_the_newest_reason_but_keeps_an_operations(
    fleet: Fleet, watcher: Watcher, play: Play
) -> None:
    due(fleet, "10.0.0.1", "10.0.0.2", status="failed", message="check: 10.0.0.1 was away in another way")
    fleet.set("10.0.0.2", message="restart: verifying: is back, but degraded")
    play.outcome = LOST
    watcher.look()
    assert host(fleet).message == f"check: {LOST.failure}"
    assert host(fleet, "10.0.0.2").message == "restart: verifying: is back, but degraded"


def test_a_host_whose_bootstrap_failed_gets_it_again_once_an_interval(fleet: Fleet, watcher: Watcher) -> None:
    fleet.client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY})
    journal = fleet.claim("bootstrap")
    journal.write([checkpoint("10.0.0.1", "python", "failed", "can't be reached: No route to host")])
    (bootstrap,) = fleet.client.get("/api/v1/operations?kind=bootstrap").json()["items"]
    fleet.end(bootstrap["id"], OperationState.FAILED)
    assert host(fleet).status == "failed"
    fleet.set("10.0.0.1", next_check_at=now())

    watcher.look()

    again, _ = fleet.client.get("/api/v1/operations?kind=bootstrap").json()["items"]
    assert (again["state"], again["requested_by"]) == ("queued", "watcher")
    found = host(fleet)
    assert found.status == "investigating"
    assert found.next_check_at is not None
    assert (found.next_check_at - now()).total_seconds() > INTERVAL * 0.89
    fleet.claim("bootstrap").write([checkpoint("10.0.0.1", "done", "finished", facts=FACTS)])
    assert (host(fleet).status, host(fleet).bootstrapped) == ("disassociated", True)


@pytest.mark.parametrize("status", ["investigating", "bootstrapping"])
def test_a_host_that_is_being_bootstrapped_is_not_checked(fleet: Fleet, watcher: Watcher, status: str) -> None:
    due(fleet, status=status)
    assert watcher.look() == 0
    answer = fleet.client.post("/api/v1/hosts/10.0.0.1/check")
    assert answer.status_code == 409
    assert status in answer.json()["detail"]


def test_the_hosts_of_an_operation_under_way_are_left_alone(fleet: Fleet, watcher: Watcher, play: Play) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    fleet.host("10.0.0.3")
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        fleet.set(address, next_check_at=now())
    operation = fleet.restart("web")
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1", "done", "finished"), checkpoint("10.0.0.2", "rebooting")])

    watcher.look()
    assert play.asked == [["10.0.0.3"]]

    fleet.end(operation)
    watcher.look()
    assert sorted(play.asked[1]) == ["10.0.0.1", "10.0.0.2"]


def test_a_restart_that_begins_during_a_check_keeps_its_hosts_status(
    fleet: Fleet, watcher: Watcher, play: Play
) -> None:
    fleet.cluster("web", "10.0.0.1")
    fleet.set("10.0.0.1", next_check_at=now(), check_failures=1)
    play.outcome = LOST

    def restart() -> None:
        fleet.restart("web")
        fleet.claim().write([checkpoint("10.0.0.1", "rebooting")])

    play.meanwhile = restart
    assert watcher.look() == 1
    assert (host(fleet).status, host(fleet).check_failures) == ("active", 1)


def test_what_a_check_saw_before_a_restart_failed_does_not_take_the_host_back(
    fleet: Fleet, watcher: Watcher, play: Play
) -> None:
    fleet.cluster("web")
    fleet.host("10.0.0.1", cluster="web", ssh_priv_key=KEY)
    fleet.set("10.0.0.1", next_check_at=now(), bootstrapped=True)

    def restart() -> None:
        operation_id = fleet.restart()
        fleet.claim().write([checkpoint("10.0.0.1", "verifying", "failed", "is back, but degraded")])
        fleet.end(operation_id, OperationState.FAILED)

    play.meanwhile = restart
    watcher.look()

    assert (host(fleet).status, host(fleet).message) == ("failed", "restart: verifying: is back, but degraded")


def test_checks_leave_no_operations(fleet: Fleet, watcher: Watcher) -> None:
    due(fleet)
    before = len(fleet.client.get("/api/v1/operations").json()["items"])
    watcher.look()
    assert len(fleet.client.get("/api/v1/operations").json()["items"]) == before


def test_a_fleet_is_checked_in_batches_the_longest_waiting_first(
    fleet: Fleet, watcher: Watcher, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commissaire.watcher.BATCH", 2)
    due(fleet, "10.0.0.3", "10.0.0.1", "10.0.0.2")
    assert [watcher.look(), watcher.look(), watcher.look()] == [2, 1, 0]
    assert [sorted(batch) for batch in play.asked] == [["10.0.0.1", "10.0.0.3"], ["10.0.0.2"]]


def test_hosts_without_a_time_and_hosts_nobody_checked_are_spread_over_the_interval(
    fleet: Fleet, watcher: Watcher, play: Play
) -> None:
    database = fleet.services.database
    addresses = [f"10.0.1.{number}" for number in range(100)]
    with database.write() as session:
        session.add_all(
            Host(address=address, status="active", next_check_at=now() - timedelta(days=number))
            for number, address in enumerate(addresses)
        )
        session.add(Host(address="10.0.2.1", status="active", next_check_at=now() + timedelta(days=9)))
        session.add(Host(address="10.0.2.2", status="active"))
    with database.write() as session:
        checks.spread_overdue(session, INTERVAL)

    watcher.look()

    assert len([address for batch in play.asked for address in batch]) < 10
    with database.read() as session:
        times = sorted((time - now()).total_seconds() for time in session.exec(select(Host.next_check_at)) if time)
    assert len(times) == 102
    assert times[-1] < INTERVAL * 1.11
    assert 0.25 * INTERVAL < times[51] < 0.75 * INTERVAL


def test_what_a_killed_server_was_checking_waits_for_no_longer_than_the_interval(fleet: Fleet) -> None:
    due(fleet)
    with fleet.services.database.write() as session:
        assert checks.claim_due(session, 1)
    with fleet.services.database.write() as session:
        checks.spread_overdue(session, 2)
        checks.schedule(session, 2)
    assert host(fleet).next_check_at <= now() + timedelta(seconds=2)


def test_two_watchers_never_take_the_same_host(fleet: Fleet) -> None:
    due(fleet, "10.0.0.1", "10.0.0.2", "10.0.0.3")
    taken: list[list[str]] = []
    for _ in range(3):
        with fleet.services.database.write() as session:
            taken.append(checks.claim_due(session, 2))
    assert [len(some) for some in taken] == [2, 1, 0]
    assert len({address for some in taken for address in some}) == 3


def test_hosts_a_playbook_never_got_to_are_neither_failed_nor_forgotten(
    fleet: Fleet, watcher: Watcher, play: Play
) -> None:
    due(fleet)
    play.run = lambda addresses: ({}, "ansible-playbook is gone")  # type: ignore[method-assign]
    watcher.look()
    found = host(fleet)
    assert (found.status, found.check_failures, found.next_check_at) == ("active", 0, None)


def test_a_check_can_be_asked_for(fleet: Fleet, watcher: Watcher, play: Play) -> None:
    due(fleet, "10.0.0.1", "10.0.0.2")
    fleet.set("10.0.0.1", next_check_at=now() + timedelta(seconds=500))
    fleet.set("10.0.0.2", next_check_at=now() + timedelta(seconds=500))
    answer = fleet.client.post("/api/v1/hosts/10.0.0.2/check")
    assert answer.status_code == 202
    assert answer.json()["address"] == "10.0.0.2"
    watcher.look()
    assert play.asked == [["10.0.0.2"]]
    assert fleet.client.post("/api/v1/hosts/10.0.0.9/check").status_code == 404


def test_metrics_tell_what_was_checked_and_how_late(fleet: Fleet, watcher: Watcher, play: Play) -> None:
    def value(name: str) -> float:
        lines = fleet.client.get("/metrics").text.splitlines()
        return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(name)))

    assert value("commissaire_host_check_lag_seconds") == 0
    due(fleet)
    assert 9 < value("commissaire_host_check_lag_seconds") < 60
    play.outcome = LOST
    watcher.look()
    assert value("commissaire_host_check_lag_seconds") == 0
    assert watcher._metrics.checks.labels("failed")._value.get() == 1


@pytest.fixture
def unwatched(tmp_path: Path, empty_database: Path) -> Iterator[TestClient]:
    with TestClient(create_app(settings_in(tmp_path, empty_database, watch_interval_seconds=0))) as client:
        client.auth = ("admin", "pass:wörd")
        yield client


def test_without_a_watcher_a_check_is_refused_with_the_next_step(unwatched: TestClient) -> None:
    answer = unwatched.post("/api/v1/hosts/10.0.0.1/check")
    assert answer.status_code == 409
    assert "watch_interval_seconds" in answer.json()["detail"]


def test_a_cancelled_bootstrap_is_tried_again_too(fleet: Fleet, watcher: Watcher) -> None:
    fleet.client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY})
    (bootstrap,) = fleet.client.get("/api/v1/operations").json()["items"]
    fleet.client.post(f"/api/v1/operations/{bootstrap['id']}/cancel")
    fleet.set("10.0.0.1", next_check_at=now())
    watcher.look()
    assert host(fleet).status == "investigating"
    with fleet.services.database.read() as session:
        assert len(session.exec(select(Operation)).all()) == 2


def test_a_key_that_many_hosts_share_is_read_once(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    public_text = keys.public_text
    monkeypatch.setattr(keys, "public_text", lambda private: read.append("once") or public_text(private))
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    for number in range(3):
        fleet.host(f"10.0.3.{number}", ssh_priv_key=base64.b64encode(pem).decode())
    known: dict[str, str] = {}
    for _ in range(2):
        with fleet.services.database.read() as session:
            found = reach(session, fleet.services.secrets, [f"10.0.3.{number}" for number in range(3)], tmp_path, known)
    assert (len(found.hosts), len(found.keys), read) == (3, 1, ["once"])
