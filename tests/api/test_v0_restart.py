"""REST v0: the restart of a cluster."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet, checkpoint
from commissaire.records import Operation, OperationState

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


def test_a_cluster_that_was_never_restarted_has_no_restart(client: TestClient) -> None:
    client.put("/api/v0/cluster/web")
    for name in ("web", "none", "a b"):
        assert client.get(f"/api/v0/cluster/{name}/restart").status_code == 404


def test_a_missing_cluster_is_not_restarted(client: TestClient) -> None:
    assert client.put("/api/v0/cluster/none/restart", json={}).status_code == 404


def test_an_empty_cluster_is_restarted_at_once(client: TestClient) -> None:
    client.put("/api/v0/cluster/web")
    answer = client.put("/api/v0/cluster/web/restart", json={})
    record = answer.json()
    assert answer.status_code == 201
    assert TIME.fullmatch(record.pop("started_at"))
    assert TIME.fullmatch(record.pop("finished_at"))
    assert record == {"name": "web", "status": "finished", "restarted": [], "in_process": []}
    again = client.put("/api/v0/cluster/web/restart")
    assert again.status_code == 201
    assert again.headers["Location"] != answer.headers["Location"]


def test_a_restart_is_followed_from_its_start_to_its_end(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    started = fleet.client.put("/api/v0/cluster/web/restart", json={}).json()
    assert (started["status"], started["finished_at"], started["restarted"]) == ("in_process", None, [])
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1", "done", "finished"), checkpoint("10.0.0.2", "rebooting")])
    during = fleet.client.get("/api/v0/cluster/web/restart").json()
    assert [host["address"] for host in during["restarted"]] == ["10.0.0.1"]
    assert during["restarted"][0] == fleet.client.get("/api/v0/host/10.0.0.1").json()
    assert [host["address"] for host in during["in_process"]] == ["10.0.0.2"]
    journal.write([checkpoint("10.0.0.2", "done", "finished")])
    fleet.end(2)
    ended = fleet.client.get("/api/v0/cluster/web/restart").json()
    assert (ended["status"], ended["in_process"], len(ended["restarted"])) == ("finished", [], 2)
    assert TIME.fullmatch(ended["finished_at"])


@pytest.mark.parametrize("claimed", [False, True])
def test_a_second_put_gives_the_restart_that_runs(fleet: Fleet, claimed: bool) -> None:
    fleet.cluster("web", "10.0.0.1")
    first = fleet.client.put("/api/v0/cluster/web/restart", json={})
    if claimed:
        fleet.claim()
    second = fleet.client.put("/api/v0/cluster/web/restart", json={"max_unavailable": 2})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["Location"] == first.headers["Location"]
    assert second.json()["name"] == "web"


def test_another_kind_of_operation_on_the_cluster_is_a_conflict_that_names_it(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    with fleet.services.database.write() as session:
        session.add(Operation(id=77, kind="upgrade", cluster="web", exclusive_key="cluster/web"))
    answer = fleet.client.put("/api/v0/cluster/web/restart", json={})
    assert (answer.status_code, "operation 77 (upgrade)" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("state", "status"), [(OperationState.FINISHED, "finished"), ("failed", "failed"), ("cancelled", "failed")]
)
def test_after_its_end_a_restart_can_be_asked_for_again(fleet: Fleet, state: OperationState, status: str) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    fleet.claim()
    fleet.end(operation, state)
    assert fleet.client.get("/api/v0/cluster/web/restart").json()["status"] == status
    assert fleet.restart() == operation + 1


def test_a_cluster_is_not_deleted_while_it_is_restarted_and_its_record_outlives_it(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    answer = fleet.client.delete("/api/v0/cluster/web")
    assert (answer.status_code, f"operation {operation} (restart)" in answer.json()["detail"]) == (409, True)
    fleet.claim().write([checkpoint("10.0.0.1", "done", "finished")])
    fleet.end(operation)
    fleet.client.delete("/api/v0/host/10.0.0.1")
    assert fleet.client.delete("/api/v0/cluster/web").status_code == 200
    record = fleet.client.get("/api/v0/cluster/web/restart").json()
    assert (record["status"], [host["address"] for host in record["restarted"]]) == ("finished", ["10.0.0.1"])
    assert fleet.client.put("/api/v0/cluster/web/restart").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"max_unavailable": 0}, {"max_unavailable": -1}, {"max_unavailable": "0%"}, {"max_unavailable": "101%"},
        {"max_unavailable": "many"}, {"max_unavailable": 1.5}, {"max_unavailable": True}, {"max_unavailable": [1]},
        {"max_unavailable": "1 %"}, {"max_unavailable": ""}, {"max_unavailable": 10**30}, {"max_failures": -1},
        {"max_failures": "x%"}, {"max_failures": {}}, {"max_failures": "\u0663"},
    ],
)  # fmt: skip
def test_limits_that_are_none_are_refused(fleet: Fleet, body: dict[str, Any]) -> None:
    fleet.cluster("web", "10.0.0.1")
    answer = fleet.client.put("/api/v0/cluster/web/restart", json=body)
    assert answer.status_code == 400
    assert next(iter(body)) in answer.text
    assert fleet.client.get("/api/v0/cluster/web/restart").status_code == 404


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        (None, {"max_unavailable": 1, "max_failures": 0}),
        ({}, {"max_unavailable": 1, "max_failures": 0}),
        ({"max_unavailable": 5, "max_failures": "10%"}, {"max_unavailable": 5, "max_failures": "10%"}),
        ({"max_unavailable": "25%", "max_failures": None}, {"max_unavailable": "25%", "max_failures": 0}),
        ({"max_unavailable": "3", "colour": "blue"}, {"max_unavailable": 3, "max_failures": 0}),
    ],
)
def test_limits_are_recorded(fleet: Fleet, body: Any, parameters: dict[str, Any]) -> None:
    fleet.cluster("web", "10.0.0.1")
    content = {} if body is None else {"json": body}
    answer = fleet.client.put("/api/v0/cluster/web/restart", **content)
    assert fleet.client.get(answer.headers["Location"]).json()["parameters"] == parameters


@pytest.mark.parametrize(
    ("status", "state"),
    [("active", "pending"), ("disassociated", "pending"), ("failed", "pending"), ("investigating", "not_started"),
     ("bootstrapping", "not_started")],
)  # fmt: skip
def test_a_host_that_is_being_made_manageable_is_left_alone(fleet: Fleet, status: str, state: str) -> None:
    fleet.cluster()
    fleet.host("10.0.0.1", status=status, cluster="web")
    fleet.restart()
    row = fleet.client.get("/api/v1/operations/2/hosts").json()["items"][0]
    assert row["state"] == state
    assert (status in row["message"]) is (state == "not_started")
