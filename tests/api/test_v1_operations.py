"""REST v1: operations, their hosts and their journal."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet, checkpoint
from commissaire.records import Operation

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
RESTART = {"kind": "restart", "cluster": "web"}
STATES = ("pending", "running", "finished", "failed", "skipped", "not_started", "cancelled")
NO_HOSTS = dict.fromkeys(("total", *STATES), 0)


def test_an_operation_is_created_and_shown(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    parameters = {"max_unavailable": "50%", "max_failures": 1, "reboot_timeout_seconds": 60}
    created = fleet.client.post("/api/v1/operations", json={**RESTART, "parameters": parameters})
    assert created.status_code == 201
    operation = created.json()
    assert created.headers["Location"] == f"/api/v1/operations/{operation['id']}"
    assert fleet.client.get(created.headers["Location"]).json() == operation
    assert TIME.fullmatch(operation.pop("created_at"))
    assert operation == {
        "id": 2, "kind": "restart", "cluster": "web", "state": "queued", "message": "", "parameters": parameters,
        "requested_by": "admin", "started_at": None, "finished_at": None, "attempt": 0,
        "dry_run": False, "retry_of": None, "halt": None, "not_before": None,
        "hosts": {**NO_HOSTS, "total": 2, "pending": 2},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (
            "upgrade",
            {"reboot": "never", "security_only": True, "hold": ["linux-*", "?"], "snapshot": "20260101T000000Z"},
        ),
        ("upgrade", {"only_packages": ["g++=4:12.2.0-3~deb12u1", "curl"], "security_only": False}),
        ("upgrade", {}),
        ("deploy", {"version": "7.2.6", "reboot_timeout_seconds": 9}),
    ],
)
def test_an_upgrade_and_a_deploy_are_created_with_their_parameters(
    fleet: Fleet, kind: str, given: dict[str, Any]
) -> None:
    fleet.cluster("web", "10.0.0.1")
    created = fleet.client.post("/api/v1/operations", json={"kind": kind, "cluster": "web", "parameters": given})
    assert created.status_code == 201, created.text
    assert (created.json()["kind"], created.json()["state"]) == (kind, "queued")
    assert created.json()["parameters"] == {"max_unavailable": 1, "max_failures": 0, **given}


def test_the_same_operation_while_one_runs_is_the_one_that_runs(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    answer = fleet.client.post("/api/v1/operations", json=RESTART)
    assert (answer.status_code, answer.json()["id"]) == (200, operation)
    assert answer.headers["Location"] == f"/api/v1/operations/{operation}"
    limited = {**RESTART, "parameters": {"max_unavailable": "50%", "max_failures": 3}}
    assert fleet.client.post("/api/v1/operations", json=limited).json()["id"] == operation


@pytest.mark.parametrize(
    "asked",
    [
        {"hosts": ["10.0.0.1"]},
        {"security_only": True},
        {"hold": ["linux-*"]},
        {"reboot": "never"},
        {"check_after": {"no_failed_units": True}},
    ],
)
def test_what_runs_is_not_the_same_when_it_does_something_else(fleet: Fleet, asked: dict[str, Any]) -> None:
    fleet.cluster("web", "10.0.0.1")
    upgrade = {"kind": "upgrade", "cluster": "web"}
    running = fleet.client.post("/api/v1/operations", json=upgrade).json()["id"]
    answer = fleet.client.post(
        "/api/v1/operations", json={**upgrade, "parameters": asked}, headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code == 409
    why = f"operation {running} (upgrade, not just what was asked for) is queued on cluster web"
    assert answer.json()["detail"].startswith(why)
    fleet.end(running)
    again = fleet.client.post(
        "/api/v1/operations", json={**upgrade, "parameters": asked}, headers={"Idempotency-Key": "k"}
    )
    assert again.status_code == 201


def test_a_retry_on_some_hosts_is_not_the_same_as_all_of_it(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = fleet.restart()
    fleet.claim().write([checkpoint("10.0.0.1", "done", "finished")])
    fleet.end(operation)
    assert fleet.client.post(f"/api/v1/operations/{operation}/retry").status_code == 201
    assert fleet.client.post("/api/v1/operations", json=RESTART).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**RESTART, "cluster": "none"}, 404),
        ({**RESTART, "cluster": "a b"}, 404),
        ({**RESTART, "colour": "blue"}, 400),
        ({**RESTART, "parameters": {"colour": "blue"}}, 400),
        ({**RESTART, "parameters": {"max_unavailable": 0}}, 400),
        ({**RESTART, "parameters": {"reboot_timeout_seconds": 0}}, 400),
        ({**RESTART, "parameters": {"reboot_timeout_seconds": 86401}}, 400),
        ({**RESTART, "parameters": {"reboot_timeout_seconds": "60"}}, 400),
        ({**RESTART, "parameters": {"reboot_timeout_seconds": True}}, 400),
        ({**RESTART, "parameters": []}, 400),
        ({**RESTART, "parameters": {"version": "7"}}, 400),
        ({**RESTART, "parameters": {"reboot": "never"}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"version": "7"}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"reboot": "sometimes"}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"security_only": "yes"}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"only_packages": "curl"}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"only_packages": ["--curl"]}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"only_packages": ["curl\n"]}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"only_packages": ["curl="]}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"hold": ["a b"]}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"snapshot": "$(reboot)"}}, 400),
        ({"kind": "upgrade", "cluster": "web", "parameters": {"security_only": True, "only_packages": ["a=1"]}}, 400),
        ({"kind": "upgrade", "cluster": "none"}, 404),
        ({"kind": "deploy", "cluster": "web"}, 400),
        ({"kind": "deploy", "cluster": "web", "parameters": {}}, 400),
        ({"kind": "deploy", "cluster": "none", "parameters": {"version": "7"}}, 404),
        ({**RESTART, "kind": "bootstrap"}, 400),
        ({**RESTART, "kind": "explode"}, 400),
        ({**RESTART, "cluster": 1}, 400),
        ({"kind": "restart"}, 400),
        ({"cluster": "web"}, 400),
        ({}, 400),
        ([], 400),
        (None, 400),
        ("restart", 400),
    ],
)
def test_other_operations_are_refused(fleet: Fleet, body: Any, status: int) -> None:
    fleet.cluster("web")
    answer = fleet.client.post("/api/v1/operations", json=body)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert fleet.client.get("/api/v1/operations").json() == {"items": [], "next": None}


def test_a_body_that_does_not_say_it_is_json_is_told_how(client: TestClient) -> None:
    answer = client.post("/api/v1/operations", content=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, "Content-Type: application/json" in answer.json()["detail"]) == (400, True)


def test_operations_are_filtered(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "2001:db8::1")
    fleet.cluster("db", "10.0.0.2")
    fleet.end(fleet.restart("web"))
    fleet.restart("db")

    def ids(query: str) -> list[int]:
        return [item["id"] for item in fleet.client.get(f"/api/v1/operations?{query}").json()["items"]]

    assert ids("") == [3, 2, 1]
    assert ids("kind=restart") == [3, 2]
    assert ids("kind=bootstrap") == [1]
    assert ids("cluster=web") == [2]
    assert ids("cluster=none") == []
    assert ids("state=queued") == [3, 1]
    assert ids("state=finished&kind=restart&cluster=web") == [2]
    assert ids("host=10.0.0.2") == [3, 1]
    assert ids("host=2001:DB8::0001") == [2, 1]
    assert ids("host=10.0.0.9") == []


def test_operations_are_paged(fleet: Fleet) -> None:
    fleet.cluster("web")
    for _ in range(5):
        fleet.restart()
    seen: list[int] = []
    query = "limit=2"
    while True:
        page = fleet.client.get(f"/api/v1/operations?{query}").json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 2
        query = f"limit=2&before={page['next']}"
    assert seen == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "limit=", "before=0", "before=-1", f"before={2**31}", "before=" + "9" * 5000,
     "kind=explode", "state=unknown", "limit=1e3", "limit=1.0e0x"],
)  # fmt: skip
def test_queries_that_make_no_sense_are_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/v1/operations?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["location"] == f"query.{query.partition('=')[0]}"


@pytest.mark.parametrize("number", ["1", "0", "-1", "x", "1.5", str(2**31), str(2**63), "9" * 5000, "%00", "\u0661"])
@pytest.mark.parametrize("rest", ["", "/hosts", "/events", "/events/stream", "/cancel"])
def test_a_missing_operation_is_not_found(client: TestClient, number: str, rest: str) -> None:
    method = "POST" if rest == "/cancel" else "GET"
    answer = client.request(method, f"/api/v1/operations/{number}{rest}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_the_hosts_of_an_operation_tell_where_they_stand(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.2", "10.0.0.1")
    fleet.restart()
    fleet.claim().write(
        [
            checkpoint("10.0.0.2", "done", "finished", boot_id_before="a", boot_id_after="b"),
            checkpoint("10.0.0.1", "rebooting", "failed", "10.0.0.1: Connection refused"),
        ]
    )
    items = fleet.client.get("/api/v1/operations/2/hosts").json()["items"]
    time = "2026-11-21T09:00:00.123456Z"
    assert items == [
        {"address": "10.0.0.2", "state": "finished", "phase": "done", "started_at": time, "finished_at": time,
         "message": "", "data": {"boot_id_before": "a", "boot_id_after": "b"}},
        {"address": "10.0.0.1", "state": "failed", "phase": "rebooting", "started_at": time, "finished_at": time,
         "message": "10.0.0.1: Connection refused", "data": {}},
    ]  # fmt: skip
    shown = fleet.client.get("/api/v1/operations/2").json()
    assert shown["hosts"] == {**NO_HOSTS, "total": 2, "finished": 1, "failed": 1}
    assert (shown["state"], shown["attempt"]) == ("running", 1)
    assert TIME.fullmatch(shown["started_at"])


def test_the_journal_is_paged(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    fleet.restart()
    fleet.claim().write([checkpoint("10.0.0.1", f"phase {number}") for number in range(5)])
    everything = fleet.client.get("/api/v1/operations/2/events").json()
    assert everything["next"] is None
    assert [event["type"] for event in everything["items"]] == ["operation"] * 2 + ["checkpoint"] * 5
    assert everything["items"][-1].keys() == {"seq", "time", "type", "host", "phase", "task", "message", "data"}
    first = fleet.client.get("/api/v1/operations/2/events?limit=3").json()
    rest = fleet.client.get(f"/api/v1/operations/2/events?after={first['next']}").json()
    assert first["items"] + rest["items"] == everything["items"]
    assert fleet.client.get(f"/api/v1/operations/2/events?after={2**63 - 1}").json() == {"items": [], "next": None}
    for query in ("after=-1", f"after={2**63}", "limit=0", "limit=5001"):
        assert fleet.client.get(f"/api/v1/operations/2/events?{query}").status_code == 400


def test_a_queued_operation_is_cancelled_at_once(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    answer = fleet.client.post(f"/api/v1/operations/{operation}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert answer.json()["hosts"] == {**NO_HOSTS, "total": 1, "not_started": 1}
    assert "cancelled by admin" in answer.json()["message"]
    assert fleet.restart() == operation + 1


def test_a_running_operation_is_told_to_stop(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    fleet.claim()
    for _ in range(2):
        answer = fleet.client.post(f"/api/v1/operations/{operation}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "running")
    with fleet.services.database.read() as session:
        assert session.get_one(Operation, operation).cancel_requested_by == "admin"  # for its worker, wherever it is


def test_an_operation_that_has_ended_is_not_cancelled(fleet: Fleet) -> None:
    fleet.cluster("web")
    operation = fleet.restart()
    answer = fleet.client.post(f"/api/v1/operations/{operation}/cancel")
    assert (answer.status_code, "finished" in answer.json()["detail"]) == (409, True)


def test_the_hosts_of_a_cancelled_bootstrap_are_failed_and_say_why(fleet: Fleet) -> None:
    fleet.client.put("/api/v0/host/10.0.0.1", json={})
    assert fleet.client.post("/api/v1/operations/1/cancel").json()["state"] == "cancelled"
    host = fleet.client.get("/api/v1/hosts/10.0.0.1").json()
    assert (host["status"], host["message"]) == ("failed", "bootstrap 1 was cancelled before it ran")
    again = fleet.client.post("/api/v1/hosts/10.0.0.1/bootstrap").json()
    assert (again["id"], again["state"]) == (2, "queued")
    assert fleet.client.get("/api/v1/hosts/10.0.0.1").json()["status"] == "investigating"


def test_a_host_that_was_cut_short_says_why_also_after_one_whose_turn_never_came(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = fleet.restart()
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.2", "rebooting")])
    journal.end("the disk is full", cancelled=False)
    told = fleet.client.get(f"/api/v1/operations/{operation}/hosts").json()["items"]
    assert [(row["state"], row["message"]) for row in told] == [
        ("not_started", "the operation ended before its turn"),
        ("failed", "the disk is full"),
    ]
    assert journal.first_failure() == "10.0.0.2: rebooting: the disk is full"
