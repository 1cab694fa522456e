"""REST v1: pausing, resuming, retrying, repeating and trying out operations."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from api.conftest import Fleet, checkpoint
from commissaire.fleet.claims import Claim
from commissaire.fleet.idempotency import once
from commissaire.fleet.operations import Requester
from commissaire.records import Operation, OperationState
from commissaire.routes.v1 import operations as routes

RESTART = {"kind": "restart", "cluster": "web"}


def post(fleet: Fleet, path: str, body: dict[str, Any] | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
    answer = fleet.client.post(f"/api/v1/operations{path}", json=body, headers=headers)
    return answer.status_code, answer.json()


def of(fleet: Fleet, operation: int) -> Operation:
    with fleet.services.database.read() as session:
        return session.get_one(Operation, operation)


def test_a_queued_operation_is_paused_and_resumed_and_keeps_its_cluster(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    status, paused = post(fleet, f"/{operation}/pause", {"reason": "the  boss\nsays so"})
    assert (status, paused["state"], paused["halt"]) == (202, "paused", "pause")
    assert paused["message"] == "paused by admin: the  boss\nsays so"
    assert post(fleet, "", {**RESTART, "kind": "upgrade"})[0] == 409
    assert fleet.services.dispatcher.claim(("restart",), 0) is None
    status, resumed = post(fleet, f"/{operation}/resume")
    assert (status, resumed["state"], resumed["halt"], resumed["message"]) == (202, "queued", None, "")
    assert fleet.services.dispatcher.claim(("restart",), 0) == Claim(operation, 1)


def test_a_paused_operation_is_cancelled_at_once(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    for body in (None, {"after_current_hosts": True}):
        operation = fleet.restart()
        post(fleet, f"/{operation}/pause")
        status, shown = post(fleet, f"/{operation}/cancel", body)
        assert (status, shown["state"], shown["hosts"]["not_started"]) == (202, "cancelled", 1)


@pytest.mark.parametrize(
    ("path", "body", "halt", "reason"),
    [
        ("pause", {"reason": "lunch"}, "pause", "paused by admin: lunch"),
        ("pause", None, "pause", "paused by admin"),
        ("cancel", {"after_current_hosts": True}, "stop", "cancelled by admin"),
    ],
)
def test_a_running_operation_starts_no_further_hosts(
    fleet: Fleet, path: str, body: dict[str, Any] | None, halt: str, reason: str
) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    fleet.claim()
    status, shown = post(fleet, f"/{operation}/{path}", body)
    assert (status, shown["state"], shown["halt"]) == (202, "running", halt)
    assert of(fleet, operation).halt_reason == reason


def test_only_what_is_paused_can_be_resumed(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    status, problem = post(fleet, f"/{operation}/resume")
    assert (status, "is queued, not paused" in problem["detail"]) == (409, True)
    fleet.claim()
    post(fleet, f"/{operation}/cancel", {"after_current_hosts": True})
    status, problem = post(fleet, f"/{operation}/resume")
    assert (status, "being cancelled" in problem["detail"]) == (409, True)


def test_what_ends_after_its_current_hosts_is_not_paused_any_more(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    fleet.claim()
    post(fleet, f"/{operation}/pause")
    assert post(fleet, f"/{operation}/cancel", {"after_current_hosts": True})[0] == 202
    status, problem = post(fleet, f"/{operation}/pause")
    assert (status, "is being cancelled, and can't be paused" in problem["detail"]) == (409, True)
    assert of(fleet, operation).halt == "stop"


def test_whatever_is_paused_can_be_resumed(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    post(fleet, f"/{operation}/pause")
    with fleet.services.database.write() as session:
        session.get_one(Operation, operation).halt = None
    status, resumed = post(fleet, f"/{operation}/resume")
    assert (status, resumed["state"]) == (202, "queued")


@pytest.mark.parametrize("claimed", [False, True])
def test_what_only_asks_hosts_for_their_leases_is_not_paused(fleet: Fleet, claimed: bool) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = post(fleet, "", {"kind": "lease_show", "cluster": "web"})[1]["id"]
    if claimed:
        fleet.claim("lease_show")
    for path, body in (("pause", None), ("cancel", {"after_current_hosts": True})):
        status, problem = post(fleet, f"/{operation}/{path}", body)
        assert (status, "is a lease_show, whose hosts don't wait" in problem["detail"]) == (409, True)
    assert post(fleet, f"/{operation}/cancel")[0] == 202


def test_a_bootstrap_is_neither_paused_nor_retried(fleet: Fleet) -> None:
    fleet.client.put("/api/v0/host/10.0.0.1", json={})
    assert post(fleet, "/1/pause")[0] == 409
    post(fleet, "/1/cancel")
    assert post(fleet, "/1/retry")[0] == 409
    assert post(fleet, "/1/pause")[0] == 409


def test_a_retry_works_on_the_hosts_that_came_to_no_good_end(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2", "10.0.0.3")
    operation = fleet.restart()
    assert post(fleet, f"/{operation}/retry")[0] == 409
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1", "done", "finished"), checkpoint("10.0.0.2", "rebooting", "failed")])
    fleet.end(operation, OperationState.FAILED)
    status, again = post(fleet, f"/{operation}/retry")
    assert (status, again["retry_of"], again["parameters"]) == (201, operation, of(fleet, operation).parameters)
    rows = fleet.client.get(f"/api/v1/operations/{again['id']}/hosts").json()["items"]
    assert [(row["address"], row["state"]) for row in rows] == [("10.0.0.2", "pending"), ("10.0.0.3", "pending")]
    assert post(fleet, f"/{operation}/retry")[0] == 409  # one at a time on a cluster


def test_a_retry_needs_its_cluster(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    operation = fleet.restart()
    post(fleet, f"/{operation}/cancel")
    fleet.client.delete("/api/v0/cluster/web")
    status, problem = post(fleet, f"/{operation}/retry")
    assert (status, problem["detail"]) == (404, "there is no cluster web")


def test_a_retry_leaves_alone_who_left_the_cluster_or_is_being_bootstrapped(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2", "10.0.0.3")
    fleet.cluster("db")
    operation = fleet.restart()
    fleet.end(operation, OperationState.FAILED)
    fleet.client.delete("/api/v0/cluster/web/hosts/10.0.0.1")
    assert fleet.client.put("/api/v0/cluster/db/hosts/10.0.0.1").status_code == 200
    fleet.set("10.0.0.2", status="bootstrapping")
    again = post(fleet, f"/{operation}/retry")[1]["id"]
    rows = fleet.client.get(f"/api/v1/operations/{again}/hosts").json()["items"]
    assert [(row["address"], row["state"]) for row in rows] == [("10.0.0.2", "not_started"), ("10.0.0.3", "pending")]
    first = fleet.client.get(f"/api/v1/operations/{again}/events").json()["items"][0]
    assert first["message"] == "restart asked for by admin: 10.0.0.1 left the cluster since"
    fleet.end(again)
    for address in ("10.0.0.2", "10.0.0.3"):
        fleet.client.delete(f"/api/v0/cluster/web/hosts/{address}")
    status, problem = post(fleet, f"/{again}/retry")
    assert (status, "left cluster web since; there is nothing to retry" in problem["detail"]) == (409, True)


def test_a_retry_is_refused_when_too_few_hosts_are_left_to_stay_in_service(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = post(fleet, "", {**RESTART, "parameters": {"min_healthy": 2}})[1]["id"]
    fleet.end(operation, OperationState.FAILED)
    fleet.client.delete("/api/v0/cluster/web/hosts/10.0.0.1")
    status, problem = post(fleet, f"/{operation}/retry")
    assert (status, "the cluster has only 1 hosts" in problem["detail"]) == (400, True)


def test_an_interrupted_host_that_is_held_back_is_still_interrupted_for_the_next_attempt(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = fleet.restart()
    fleet.claim().write([checkpoint("10.0.0.1", "rebooting")])
    with fleet.services.database.write() as session:
        session.get_one(Operation, operation).state = OperationState.QUEUED
    journal = fleet.claim()
    journal.write([checkpoint(host, "waiting", "pending", "paused: lunch") for host in ("10.0.0.1", "10.0.0.2")])
    rows = fleet.client.get(f"/api/v1/operations/{operation}/hosts").json()["items"]
    assert [(row["state"], row["phase"]) for row in rows] == [("running", "rebooting"), ("pending", "waiting")]
    assert journal.held_back() == "paused: lunch"


def test_there_must_be_something_to_retry(fleet: Fleet) -> None:
    fleet.cluster("web")
    status, problem = post(fleet, f"/{fleet.restart()}/retry")
    assert (status, "nothing to retry" in problem["detail"]) == (409, True)


def test_the_same_key_gets_the_same_operation_also_after_its_end(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    header = {"Idempotency-Key": "night of the 21st"}
    status, first = post(fleet, "", RESTART, **header)
    assert status == 201
    post(fleet, f"/{first['id']}/cancel")
    status, again = post(fleet, "", RESTART, **header)
    assert (status, again["id"], again["state"]) == (200, first["id"], "cancelled")
    status, problem = post(fleet, "", {**RESTART, "parameters": {"max_failures": 3}}, **header)
    assert (status, f"became operation {first['id']}" in problem["detail"]) == (422, True)
    assert post(fleet, "", RESTART, **{"Idempotency-Key": "another"})[1]["id"] == first["id"] + 1


def test_a_key_stays_with_the_operation_that_ran_already(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    running = fleet.restart()
    assert post(fleet, "", RESTART, **{"Idempotency-Key": "k"})[1]["id"] == running
    post(fleet, f"/{running}/cancel")
    assert post(fleet, "", RESTART, **{"Idempotency-Key": "k"})[1]["id"] == running


def test_of_two_requests_with_a_key_at_the_same_moment_the_later_gets_the_operation_as_well(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a database where two transactions write at once the later one finds the key only at its end."""
    fleet.cluster("web", "10.0.0.1")
    first = post(fleet, "", RESTART, **{"Idempotency-Key": "k"})[1]["id"]
    calls: list[str | None] = []

    def overtaken(session: Session, requester: Requester, key: str | None, *rest: Any) -> tuple[Operation, bool]:
        calls.append(key)
        if len(calls) == 1:
            raise IntegrityError("INSERT INTO idempotency_key", {}, Exception("duplicate key"))
        return once(session, requester, key, *rest)

    monkeypatch.setattr(routes, "once", overtaken)
    status, again = post(fleet, "", RESTART, **{"Idempotency-Key": "k"})
    assert (status, again["id"], calls) == (200, first, ["k", "k"])
    calls.clear()
    assert post(fleet, "", RESTART)[0] == 409


def test_a_key_outlives_a_release_that_has_more_parameters(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.cluster("web", "10.0.0.1")
    given: list[dict[str, Any]] = []

    def listening(session: Session, requester: Requester, key: str | None, request: Any, ask: Any) -> Any:
        given.append(request)
        return once(session, requester, key, request, ask)

    monkeypatch.setattr(routes, "once", listening)
    first = post(fleet, "", {**RESTART, "parameters": {"max_failures": 1}}, **{"Idempotency-Key": "k"})[1]["id"]
    turned = {"parameters": {"max_failures": 1}, "cluster": "web", "kind": "restart"}
    assert post(fleet, "", turned, **{"Idempotency-Key": "k"})[1]["id"] == first
    assert given == [turned, turned], "no defaults, of which a later release may have more"


def test_a_refused_request_uses_no_key_up(fleet: Fleet) -> None:
    assert post(fleet, "", RESTART, **{"Idempotency-Key": "k"})[0] == 404
    fleet.cluster("web", "10.0.0.1")
    assert post(fleet, "", RESTART, **{"Idempotency-Key": "k"})[0] == 201


def test_no_number_is_too_large_to_be_asked_for_with_a_key(fleet: Fleet) -> None:
    header = {"Idempotency-Key": "k"}
    assert post(fleet, f"/{2**64}/retry", **header)[0] == 404
    fleet.cluster("web", "10.0.0.1")
    status, problem = post(fleet, "", {**RESTART, "parameters": {"max_failures": 2**64}}, **header)
    assert status == 400
    assert "max_failures" in str(problem)


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_a_length(fleet: Fleet, key: str) -> None:
    fleet.cluster("web", "10.0.0.1")
    assert post(fleet, "", RESTART, **{"Idempotency-Key": key})[0] == 400


def test_a_dry_run_needs_no_cluster_for_itself(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    fleet.restart()
    status, dry = post(fleet, "", {**RESTART, "kind": "upgrade", "dry_run": True})
    assert (status, dry["dry_run"], dry["state"]) == (201, True, "queued")
    assert fleet.client.get("/api/v0/cluster/web/upgrade").status_code == 404


def test_what_has_no_cluster_any_more_or_never_had_one_is_not_retried(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    restart = fleet.restart()
    fleet.end(restart, OperationState.FAILED)
    shown = post(fleet, "", {"kind": "lease_show", "hosts": ["10.0.0.1"]})[1]["id"]
    fleet.end(shown, OperationState.FAILED)
    status, problem = post(fleet, f"/{shown}/retry")
    assert (status, problem["detail"]) == (409, f"operation {shown} is a lease_show; ask for another one")
    assert fleet.client.delete("/api/v0/cluster/web").status_code == 200
    status, problem = post(fleet, f"/{restart}/retry")
    assert (status, problem["detail"]) == (404, "there is no cluster web")
