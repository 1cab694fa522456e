"""REST v0: restart, upgrade and deploy of a cluster."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet, checkpoint
from commissaire.records import OperationState

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "restart": ("restarted", {}),
    "upgrade": ("upgraded", {}),
    "deploy": ("deployed", {"version": "7.2.6"}),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def path(kind: str, cluster: str = "web") -> str:
    return f"/api/v0/cluster/{cluster}/{kind}"


@each_kind
def test_a_cluster_that_never_had_such_an_operation_has_none(client: TestClient, kind: str) -> None:
    client.put("/api/v0/cluster/web")
    for name in ("web", "none", "a b"):
        assert client.get(path(kind, name)).status_code == 404


@each_kind
def test_nothing_is_done_on_a_missing_cluster(client: TestClient, kind: str) -> None:
    assert client.put(path(kind, "none"), json=KINDS[kind][1]).status_code == 404
    assert client.get("/api/v1/operations").json()["items"] == []


@each_kind
def test_an_empty_cluster_is_finished_at_once(client: TestClient, kind: str) -> None:
    done, body = KINDS[kind]
    client.put("/api/v0/cluster/web")
    answer = client.put(path(kind), json=body)
    record = answer.json()
    assert answer.status_code == 201
    assert TIME.fullmatch(record.pop("started_at"))
    assert TIME.fullmatch(record.pop("finished_at"))
    assert record == {"name": "web", "status": "finished", done: [], "in_process": [], **body}
    again = client.put(path(kind), json=body)
    assert again.status_code == 201
    assert again.headers["Location"] != answer.headers["Location"]


@pytest.mark.parametrize("kind", ["restart", "upgrade"])
def test_no_body_is_needed(client: TestClient, kind: str) -> None:
    client.put("/api/v0/cluster/web")
    assert client.put(path(kind)).status_code == 201


@each_kind
def test_an_operation_is_followed_from_its_start_to_its_end(fleet: Fleet, kind: str) -> None:
    done, body = KINDS[kind]
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    started = fleet.client.put(path(kind), json=body)
    record = started.json()
    assert (record["status"], record["finished_at"], record[done]) == ("in_process", None, [])
    journal = fleet.claim(kind)
    journal.write([checkpoint("10.0.0.1", "done", "finished"), checkpoint("10.0.0.2", "rebooting")])
    during = fleet.client.get(path(kind)).json()
    assert [host["address"] for host in during[done]] == ["10.0.0.1"]
    assert during[done][0] == fleet.client.get("/api/v0/host/10.0.0.1").json()
    assert [host["address"] for host in during["in_process"]] == ["10.0.0.2"]
    journal.write([checkpoint("10.0.0.2", "done", "finished")])
    fleet.end(int(started.headers["Location"].rpartition("/")[2]))
    ended = fleet.client.get(path(kind)).json()
    assert (ended["status"], ended["in_process"], len(ended[done])) == ("finished", [], 2)
    assert TIME.fullmatch(ended["finished_at"])
    assert ended.get("version") == body.get("version")


@each_kind
def test_a_host_that_failed_says_in_what(fleet: Fleet, kind: str) -> None:
    fleet.cluster("web", "10.0.0.1")
    fleet.client.put(path(kind), json=KINDS[kind][1])
    fleet.claim(kind).write([checkpoint("10.0.0.1", "rebooting", "failed", "rebooting: it did not come back")])
    shown = fleet.client.get("/api/v1/hosts/10.0.0.1").json()
    assert (shown["status"], shown["message"]) == ("failed", f"{kind}: rebooting: it did not come back")
    fleet.client.get(path(kind))


@pytest.mark.parametrize("claimed", [False, True])
@each_kind
def test_a_second_put_gives_the_operation_that_runs(fleet: Fleet, kind: str, claimed: bool) -> None:
    body = KINDS[kind][1]
    fleet.cluster("web", "10.0.0.1")
    first = fleet.client.put(path(kind), json=body)
    if claimed:
        fleet.claim(kind)
    second = fleet.client.put(path(kind), json={**body, "max_unavailable": 2})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["Location"] == first.headers["Location"]
    assert second.json()["name"] == "web"
    assert second.json()["started_at"] == first.json()["started_at"]


@pytest.mark.parametrize("other", KINDS)
@each_kind
def test_another_kind_or_version_on_the_cluster_is_a_conflict_that_names_what_runs(
    fleet: Fleet, kind: str, other: str
) -> None:
    fleet.cluster("web", "10.0.0.1")
    running = fleet.client.put(path(kind), json=KINDS[kind][1]).headers["Location"].rpartition("/")[2]
    wanted = {"version": "8.0"} if other == "deploy" else {}
    answer = fleet.client.put(path(other), json=wanted)
    if other == kind != "deploy":
        assert answer.status_code == 200
        return
    named = "deploy of version 7.2.6" if kind == "deploy" else kind
    assert answer.status_code == 409
    assert f"operation {running} ({named})" in answer.json()["detail"]


@pytest.mark.parametrize(
    "version",
    [
        None, 7, 7.2, True, [], {}, "", " ", "-f", "--help", ".hidden", "/etc/passwd", "7.2.6 ", "7.2.6\n", "7;reboot",
        "$(reboot)", "`reboot`", "a b", "a=b", "a'b", 'a"b', "a\\b", "a|b", "a&b", "\u0667", "é", "x" * 256, "{{ 7 }}",
    ],
)  # fmt: skip
def test_a_version_that_is_none_is_refused(fleet: Fleet, version: Any) -> None:
    fleet.cluster("web", "10.0.0.1")
    answers = [
        fleet.client.put(path("deploy"), json={"version": version}),
        fleet.client.post(
            "/api/v1/operations", json={"kind": "deploy", "cluster": "web", "parameters": {"version": version}}
        ),
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert all("version" in answer.text for answer in answers)
    assert fleet.client.get(path("deploy")).status_code == 404


@pytest.mark.parametrize("content", [{}, {"json": {}}, {"json": {"Version": "7"}}, {"content": b"null"}])
def test_a_deploy_without_a_version_is_refused(fleet: Fleet, content: Any) -> None:
    fleet.cluster("web", "10.0.0.1")
    assert fleet.client.put(path("deploy"), **content).status_code == 400


@pytest.mark.parametrize(
    "version",
    [
        *("7", "7.2.6", "fedora:fedora/x86_64/coreos/stable", "0" * 64, "a+b_c", "x" * 255),
        f"registry.example:5000/os@sha256:{'a' * 64}",
    ],
)
def test_a_version_is_recorded_as_given(fleet: Fleet, version: str) -> None:
    fleet.cluster("web", "10.0.0.1")
    answer = fleet.client.put(path("deploy"), json={"version": version})
    assert (answer.status_code, answer.json()["version"]) == (201, version)
    assert fleet.client.get(answer.headers["Location"]).json()["parameters"]["version"] == version


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


@each_kind
def test_a_body_may_repeat_the_clusters_name_and_no_other(client: TestClient, kind: str) -> None:
    client.put("/api/v0/cluster/web")
    assert client.put(path(kind), json={**KINDS[kind][1], "name": "db"}).status_code == 400
    assert client.get(path(kind)).status_code == 404
    assert client.put(path(kind), json={**KINDS[kind][1], "name": "web"}).status_code == 201


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
    assert row["message"] == (f"the host is {status}; restart it when that is done" if state == "not_started" else "")
