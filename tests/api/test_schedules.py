"""REST v1: schedules, and the scheduler that asks for their operations."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from api.conftest import Fleet
from commissaire import scheduler
from commissaire.dispatch.embedded import EmbeddedDispatcher
from commissaire.fleet.claims import Claim
from commissaire.fleet.schedules import due_schedules, fire
from commissaire.records import Operation, Schedule
from commissaire.routes.v1.schedule_bodies import LEAST_GRACE_SECONDS
from commissaire.scheduler import Scheduler

DUE = datetime(2026, 11, 21, 3, 30, tzinfo=UTC)
NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "cron": "30 4 * * *",
    "time_zone": "Europe/Berlin",
    "operation": {"kind": "upgrade", "cluster": "web", "parameters": {"max_failures": 2}},
}


@pytest.fixture
def nightly(fleet: Fleet) -> Fleet:
    """A schedule that was due at `DUE`."""
    fleet.cluster("web", "10.0.0.1")
    assert post(fleet, "", NIGHTLY)[0] == 201
    set_due(fleet, DUE)
    return fleet


def post(fleet: Fleet, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    answer = fleet.client.post(f"/api/v1/schedules{path}", json=body)
    return answer.status_code, answer.json()


def shown(fleet: Fleet) -> dict[str, Any]:
    body: dict[str, Any] = fleet.client.get("/api/v1/schedules/nightly").json()
    return body


def last(fleet: Fleet) -> tuple[str | None, str, int | None]:
    body = shown(fleet)
    return body["last_outcome"], body["last_message"], body["last_operation_id"]


def set_due(fleet: Fleet, moment: datetime) -> None:
    with fleet.services.database.write() as session:
        schedule = session.get_one(Schedule, "nightly")
        schedule.next_run_at = moment
        session.add(schedule)


def look(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, moment: datetime) -> list[str]:
    """Let the scheduler look at *moment*."""
    monkeypatch.setattr(scheduler, "now", lambda: moment)
    return Scheduler(fleet.services.database, fleet.services.dispatcher).look()


def operations(fleet: Fleet) -> list[Operation]:
    with fleet.services.database.read() as session:
        return list(session.exec(select(Operation).where(Operation.kind == "upgrade")))


def test_a_schedule_is_made_shown_changed_and_deleted(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    answer = fleet.client.post("/api/v1/schedules", json=NIGHTLY)
    made = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/v1/schedules/nightly")
    assert (made["enabled"], made["grace_seconds"], made["created_by"], made["last_outcome"]) == (
        True,
        300,
        "admin",
        None,
    )
    assert made["operation"] == {**NIGHTLY["operation"], "dry_run": False}
    due = datetime.fromisoformat(made["next_run_at"])
    assert timedelta() < due - datetime.now(UTC) < timedelta(days=1)
    assert fleet.client.get("/api/v1/schedules").json() == {"items": [made]}
    status, problem = post(fleet, "", NIGHTLY)
    assert (status, "choose another name" in problem["detail"]) == (409, True)
    changes = {"cron": "0 0 1 1 *", "enabled": False, "operation": NIGHTLY["operation"]}
    changed = fleet.client.put("/api/v1/schedules/nightly", json=changes).json()
    assert (changed["cron"], changed["time_zone"], changed["next_run_at"]) == ("0 0 1 1 *", "UTC", None)
    assert post(fleet, "/nightly/enable")[1]["next_run_at"].endswith("-01-01T00:00:00.000000Z")
    assert post(fleet, "/nightly/disable")[1]["next_run_at"] is None
    assert fleet.client.delete("/api/v1/schedules/nightly").status_code == 204
    assert fleet.client.get("/api/v1/schedules/nightly").status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"cron": "30 4 * *"}, 400, "cron"),
        ({"time_zone": "Europe/Bonn"}, 400, "time_zone"),
        ({"name": "../x"}, 400, "name"),
        ({"grace_seconds": 1}, 400, "grace_seconds"),
        ({"operation": {"kind": "bootstrap", "cluster": "web"}}, 400, "operation"),
        (
            {"operation": {"kind": "restart", "cluster": "web", "parameters": {"max_failures": "x"}}},
            400,
            "max_failures",
        ),
        ({"operation": {"kind": "restart", "cluster": "db"}}, 404, "no cluster db"),
    ],
)
def test_what_could_never_run_is_refused_at_once(fleet: Fleet, change: dict[str, Any], status: int, words: str) -> None:
    fleet.cluster("web", "10.0.0.1")
    found, problem = post(fleet, "", {**NIGHTLY, **change})
    assert (found, words in str(problem)) == (status, True), problem
    assert fleet.client.get("/api/v1/schedules").json() == {"items": []}


def test_what_is_due_is_asked_for_once(nightly: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(nightly, monkeypatch, DUE - timedelta(seconds=1)) == []
    assert look(nightly, monkeypatch, DUE + timedelta(seconds=1)) == ["nightly"]
    assert look(nightly, monkeypatch, DUE + timedelta(seconds=2)) == []
    (operation,) = operations(nightly)
    assert (operation.requested_by, operation.parameters["max_failures"]) == ("schedule nightly", 2)
    assert last(nightly) == ("started", "", operation.id)
    body = shown(nightly)
    assert (body["last_run_at"], body["next_run_at"]) == ("2026-11-21T03:30:00.000000Z", "2026-11-22T03:30:00.000000Z")
    assert nightly.services.dispatcher.claim(("upgrade",), 0) == Claim(operation.id or 0, 1)


def test_of_two_servers_that_see_the_same_schedule_due_one_asks(nightly: Fleet) -> None:
    database, together, won = nightly.services.database, threading.Barrier(2), []

    def server() -> None:
        with database.read() as session:
            ((name, since),) = due_schedules(session, DUE)
        together.wait(60)
        with database.write() as session:
            won.append(fire(session, name, since, DUE))

    threads = [threading.Thread(target=server) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(schedule is None for schedule in won) == [False, True]
    assert len(operations(nightly)) == 1


def test_two_dispatchers_ask_once_a_period(nightly: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "now", lambda: DUE)
    database = nightly.services.database
    servers = [Scheduler(database, EmbeddedDispatcher(database, owner)) for owner in ("one", "other")]
    assert sorted(map(len, (server.look() for server in servers))) == [0, 1]
    assert len(operations(nightly)) == 1


@pytest.mark.parametrize(
    ("late", "outcome", "asked"),
    [
        (timedelta(seconds=300), "started", 1),
        (timedelta(seconds=301), "missed", 0),
        (timedelta(days=3, seconds=300), "started", 1),
        (timedelta(days=3, hours=5), "missed", 0),
    ],
)
def test_what_was_missed_runs_once_within_the_grace_and_is_told_else(
    nightly: Fleet, monkeypatch: pytest.MonkeyPatch, late: timedelta, outcome: str, asked: int
) -> None:
    assert look(nightly, monkeypatch, DUE + late) == ["nightly"]
    assert look(nightly, monkeypatch, DUE + late) == []
    assert last(nightly)[0] == outcome
    assert len(operations(nightly)) == asked
    assert shown(nightly)["last_run_at"] == f"2026-11-{21 + late.days}T03:30:00.000000Z"
    if outcome == "missed":
        assert "no server was there within 300 s after" in last(nightly)[1]


def test_a_busy_cluster_a_lost_one_and_the_same_operation_are_told(
    nightly: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart = nightly.restart()
    look(nightly, monkeypatch, DUE)
    outcome, message, operation = last(nightly)
    assert (outcome, operation) == ("skipped", None)
    assert f"operation {restart} (restart) is queued on cluster web" in message
    nightly.end(restart)
    look(nightly, monkeypatch, DUE + timedelta(days=1))
    (upgrade,) = operations(nightly)
    look(nightly, monkeypatch, DUE + timedelta(days=2))
    assert last(nightly)[:2] == ("skipped", f"operation {upgrade.id}, the same, is queued on cluster web already")
    nightly.end(upgrade.id or 0)
    nightly.client.delete("/api/v0/cluster/web")
    look(nightly, monkeypatch, DUE + timedelta(days=3))
    assert last(nightly) == ("skipped", "there is no cluster web", upgrade.id)


def test_a_disabled_one_does_not_run_but_by_hand(nightly: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    post(nightly, "/nightly/disable")
    assert look(nightly, monkeypatch, DUE + timedelta(days=9)) == []
    status, operation = post(nightly, "/nightly/run")
    assert (status, operation["kind"], operation["requested_by"]) == (201, "upgrade", "admin")
    assert last(nightly) == ("started", "run by admin", operation["id"])
    status, again = post(nightly, "/nightly/run")
    assert (status, again["id"]) == (200, operation["id"])
    nightly.end(operation["id"])
    nightly.restart()
    assert post(nightly, "/nightly/run")[0] == 409


def test_what_is_due_stays_due_when_nothing_of_its_times_changes(
    nightly: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**NIGHTLY, "operation": {**NIGHTLY["operation"], "parameters": {}}}
    changes.pop("name")
    assert post(nightly, "/nightly/enable")[0] == 200
    assert nightly.client.put("/api/v1/schedules/nightly", json=changes).status_code == 200
    assert shown(nightly)["next_run_at"] == "2026-11-21T03:30:00.000000Z"
    assert look(nightly, monkeypatch, DUE) == ["nightly"]
    set_due(nightly, DUE)
    assert nightly.client.put("/api/v1/schedules/nightly", json={**changes, "time_zone": "UTC"}).status_code == 200
    assert look(nightly, monkeypatch, DUE) == []


def test_a_change_that_does_not_say_so_enables_nothing(nightly: Fleet) -> None:
    post(nightly, "/nightly/disable")
    changes = {"cron": "0 4 * * *", "operation": NIGHTLY["operation"]}
    changed = nightly.client.put("/api/v1/schedules/nightly", json=changes).json()
    assert (changed["enabled"], changed["next_run_at"]) == (False, None)
    changed = nightly.client.put("/api/v1/schedules/nightly", json={**changes, "enabled": True}).json()
    assert (changed["enabled"], changed["next_run_at"] is None) == (True, False)
    assert nightly.client.put("/api/v1/schedules/nightly", json=changes).json()["enabled"] is True


def test_one_that_nothing_can_be_done_with_does_not_keep_the_others(
    nightly: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(nightly, "", {**NIGHTLY, "name": "broken"})
    with nightly.services.database.write() as session:
        session.get_one(Schedule, "broken").next_run_at = DUE
        session.get_one(Schedule, "broken").cron = "no cron"
    assert look(nightly, monkeypatch, DUE) == ["nightly"]
    with nightly.services.database.read() as session:
        assert due_schedules(session, DUE) == [("broken", DUE)]


def test_no_server_sleeps_longer_than_any_schedules_grace() -> None:
    assert scheduler.LONGEST_PAUSE_SECONDS < LEAST_GRACE_SECONDS


def test_the_thread_asks_by_itself_and_when_it_is_woken(nightly: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "LONGEST_PAUSE_SECONDS", 600.0)
    set_due(nightly, datetime.now(UTC) + timedelta(days=300))
    asked = threading.Event()
    thread = Scheduler(nightly.services.database, nightly.services.dispatcher)
    monkeypatch.setattr(thread._dispatcher, "enqueue", lambda *_: asked.set())
    thread.start()
    try:
        assert not asked.is_set()
        with nightly.services.database.write() as session:
            schedule = session.get_one(Schedule, "nightly")
            schedule.cron, schedule.time_zone, schedule.grace_seconds = "* * * * *", "UTC", 86400
            schedule.next_run_at = datetime.now(UTC) - timedelta(seconds=1)
            session.add(schedule)
        thread.wake()
        assert asked.wait(60)
    finally:
        thread.stop()
        thread.join(60)
    assert len(operations(nightly)) == 1
