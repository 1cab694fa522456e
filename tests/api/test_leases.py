"""REST v1: asking for the leases on hosts to be shown and broken."""

from __future__ import annotations

from typing import Any

import pytest

from api.conftest import Fleet
from commissaire.fleet.claims import Claim
from commissaire.records import Operation

BREAK = {"kind": "lease_break", "parameters": {"reason": "its controller is gone"}}


def ask(fleet: Fleet, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = fleet.client.post("/api/v1/operations", json=body)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("wanted", [{"kind": "lease_show"}, BREAK])
@pytest.mark.parametrize("which", [{"cluster": "web"}, {"hosts": ["10.0.0.2", "10.0.0.1", "10.0.0.2"]}])
def test_they_are_asked_for_while_another_operation_runs(
    fleet: Fleet, wanted: dict[str, Any], which: dict[str, Any]
) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    fleet.restart()
    status, operation = ask(fleet, {**wanted, **which})
    assert (status, operation["state"], operation["hosts"]["pending"]) == (201, "queued", 2)
    assert fleet.services.dispatcher.claim((wanted["kind"],), 0) == Claim(operation["id"], 1)


@pytest.mark.parametrize(
    ("which", "status", "words"),
    [
        ({}, 400, "give either cluster or hosts"),
        ({"cluster": "web", "hosts": ["10.0.0.1"]}, 400, "give either cluster or hosts"),
        ({"cluster": "db"}, 404, "db"),
        ({"hosts": ["10.0.0.1", "10.0.0.9"]}, 404, "there is no host 10.0.0.9"),
        ({"hosts": []}, 400, ""),
        ({"hosts": ["-oProxyCommand=x"]}, 404, "neither an IP address nor a host name"),
        ({"cluster": "web", "parameters": {"reason": " "}}, 400, ""),
        ({"cluster": "web", "parameters": {}}, 400, ""),
        ({"cluster": "web", "parameters": {"reason": "a\nb"}}, 400, ""),
    ],
)
def test_a_request_names_its_hosts_and_a_reason(fleet: Fleet, which: dict[str, Any], status: int, words: str) -> None:
    fleet.cluster("web", "10.0.0.1")
    got, problem = ask(fleet, {**BREAK, **which})
    assert (got, words in problem["detail"]) == (status, True), problem


def test_a_break_is_on_record_with_its_reason(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    _, operation = ask(fleet, {**BREAK, "cluster": "web"})
    with fleet.services.database.read() as session:
        record = session.get_one(Operation, operation["id"])
    assert (record.requested_by, record.parameters) == ("admin", BREAK["parameters"])
    first = fleet.client.get(f"/api/v1/operations/{record.id}/events").json()["items"][0]
    assert first["message"] == "lease_break asked for by admin: on 10.0.0.1; its controller is gone"
    entry = fleet.client.get("/api/v1/audit").json()["items"][0]
    assert entry["what"] == "POST /api/v1/operations"
    assert entry["detail"] == "lease_break on cluster web; its controller is gone"


def test_the_audit_trail_tells_which_hosts_and_what_was_refused(fleet: Fleet) -> None:
    ask(fleet, {**BREAK, "hosts": ["10.0.0.1", "10.0.0.2"]})
    ask(fleet, {"kind": "restart", "cluster": "web", "dry_run": True})
    entries = fleet.client.get("/api/v1/audit").json()["items"]
    assert [(entry["detail"], entry["outcome"]) for entry in entries] == [
        ("restart on cluster web (dry run)", 404),
        ("lease_break on 10.0.0.1, 10.0.0.2; its controller is gone", 404),
    ]
