"""REST v1: asking for the leases on hosts to be shown and broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.conftest import Fleet, checkpoint, private_key
from commissaire.fleet.claims import Claim
from commissaire.launcher.kinds import lease_name
from commissaire.records import Operation, OperationState

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


def with_key(fleet: Fleet, *addresses: str) -> None:
    """Make a cluster of hosts with a key that ssh could use."""
    fleet.cluster("web")
    for address in addresses:
        fleet.host(address, cluster="web", ssh_priv_key=private_key())
    fleet.end(1)


def test_all_that_may_have_left_a_lease_since_a_host_was_well_are_succeeded(fleet: Fleet, tmp_path: Path) -> None:
    with_key(fleet, "10.0.0.1", "10.0.0.2")
    ways = [
        ({"kind": "restart"}, "failed", False),
        ({"kind": "restart"}, "finished", False),
        ({"kind": "upgrade"}, "running", True),
        ({"kind": "restart", "dry_run": True}, "failed", False),
        ({"kind": "lease_show"}, "failed", False),
        ({"kind": "restart"}, "failed", True),
    ]
    wanted = []
    for asked, state, may_hold in ways:
        _, operation = ask(fleet, {"cluster": "web", **asked})
        journal = fleet.claim(asked["kind"])
        journal.write([checkpoint(host, "rebooting", state) for host in ("10.0.0.1", "10.0.0.2")])
        fleet.end(operation["id"], OperationState.CANCELLED)
        wanted += [operation["id"]] if may_hold else []
    _, well = ask(fleet, {"kind": "restart", "cluster": "web", "parameters": {"hosts": ["10.0.0.2"]}})
    fleet.claim().write([checkpoint("10.0.0.2", "done", "finished")])
    fleet.end(well["id"])
    job = fleet.plan(fleet.restart(), tmp_path).job
    assert job is not None
    hosts = job.inventory["all"]["hosts"]
    with fleet.services.database.read() as session:
        earlier = [session.get_one(Operation, number) for number in reversed(wanted)]
    names = [lease_name(operation.id, operation.created_at) for operation in earlier]
    assert hosts["10.0.0.1"]["lease_succeeds"] == names
    assert "lease_succeeds" not in hosts["10.0.0.2"]


def test_hosts_that_could_not_be_asked_are_no_reason_not_to_ask_the_others_after_an_interruption(
    fleet: Fleet, tmp_path: Path
) -> None:
    with_key(fleet, "10.0.0.1", "10.0.0.2")
    _, operation = ask(fleet, {"kind": "lease_show", "cluster": "web"})
    fleet.claim("lease_show").write([checkpoint("10.0.0.1", "connecting", "failed", "no answer")])
    plan = fleet.plan(operation["id"], tmp_path)
    assert plan.job is not None, plan.message
    assert list(plan.job.inventory["all"]["hosts"]) == ["10.0.0.2"]
