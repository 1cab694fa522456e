"""REST v0: container managers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet
from commissaire.managers import kubernetes

OPTIONS = {"server_url": "https://openshift.example.com", "token": "aaa-very-secret"}
WANTED = {"type": "openshift", "options": OPTIONS}
SHOWN = {"name": "ocp", "type": "openshift", "options": {**OPTIONS, "token": "********"}}


def put(client: TestClient, body: dict[str, Any] | None = None) -> Any:
    return client.put("/api/v0/containermanager/ocp", json=WANTED if body is None else body)


def test_the_list_is_empty_before_the_first_one_exists(client: TestClient) -> None:
    answer = client.get("/api/v0/containermanagers")
    assert (answer.status_code, answer.json()) == (200, [])


def test_one_is_created_shown_listed_and_deleted_and_its_token_is_never_shown(client: TestClient) -> None:
    created = put(client)
    assert (created.status_code, created.json()) == (201, SHOWN)
    assert client.get("/api/v0/containermanager/ocp").json() == SHOWN
    assert client.get("/api/v0/containermanagers").json() == ["ocp"]
    assert client.delete("/api/v0/containermanager/ocp").json() == []
    assert client.get("/api/v0/containermanager/ocp").status_code == 404
    assert client.delete("/api/v0/containermanager/ocp").status_code == 200


def test_the_token_is_nowhere_in_the_database(fleet: Fleet) -> None:
    put(fleet.client)
    folder = fleet.services.settings.data_dir
    assert any(b"openshift.example.com" in file.read_bytes() for file in folder.glob("commissaire.db*"))
    assert not any(b"aaa-very-secret" in file.read_bytes() for file in folder.glob("commissaire.db*"))


def test_it_is_an_openshift_when_nothing_is_said(client: TestClient) -> None:
    assert put(client, {}).json() == {"name": "ocp", "type": "openshift", "options": {}}


@pytest.mark.parametrize("kind", ["openshift", "kubernetes", "trivial"])
def test_every_type_can_be_recorded(client: TestClient, kind: str) -> None:
    assert put(client, {"type": kind}).json()["type"] == kind


@pytest.mark.parametrize("body", [WANTED, {**WANTED, "options": SHOWN["options"]}])
def test_the_same_again_and_what_was_shown_are_created_again(client: TestClient, body: dict[str, Any]) -> None:
    assert put(client).status_code == 201
    answer = put(client, body)
    assert (answer.status_code, answer.json()) == (201, SHOWN)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "kubernetes", "options": OPTIONS},
        {"type": "openshift", "options": {**OPTIONS, "token": "bbb"}},
        {"type": "openshift", "options": {**OPTIONS, "server_url": "https://another"}},
        {"type": "openshift", "options": {"server_url": OPTIONS["server_url"]}},
        {},
    ],
)
def test_another_one_of_that_name_is_a_conflict(client: TestClient, body: dict[str, Any]) -> None:
    put(client)
    answer = put(client, body)
    assert (answer.status_code, "delete it first" in answer.json()["detail"]) == (409, True)
    assert put(client).status_code == 201


def test_its_secrets_go_with_it(client: TestClient) -> None:
    put(client)
    client.delete("/api/v0/containermanager/ocp")
    assert put(client, {"type": "openshift", "options": {**OPTIONS, "token": "bbb"}}).status_code == 201


def test_one_that_a_cluster_uses_stays(client: TestClient) -> None:
    put(client)
    client.put("/api/v0/cluster/web", json={"container_manager": "ocp"})
    answer = client.delete("/api/v0/containermanager/ocp")
    assert (answer.status_code, "cluster web" in answer.json()["detail"]) == (409, True)
    client.put("/api/v0/cluster/web", json={"container_manager": ""})
    assert client.delete("/api/v0/containermanager/ocp").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"type": "swarm"},
        {"type": 5},
        {"options": []},
        {"options": {"token": 5}},
        {"options": {"token": ""}},
        {"options": {"token": "********"}},
        {"options": {"server_url": "ftp://example.com"}},
        {"options": {"server_url": "https://"}},
        {"options": {"server_url": "https://admin:bbb@example.com"}},
        {"options": {"server_url": "https://example.com:99999"}},
        {"options": {"apiserver": 5}},
        {"options": {"certificate_path": "/a"}},
        {"options": {"certificate_key_path": "/a"}},
        {"options": {"client_key": "/a"}},
        {"options": {"kubeconfig": "users: [{user: {exec: {command: id}}}]"}},
        {"options": {"node": "web7"}},
        {"options": {"node": {"colour": "red"}}},
        {"options": {"node": {"labels": ["zone"]}}},
        {"options": {"node": {"certificate_seconds": True}}},
        {"name": "another"},
    ],
)
def test_a_bad_type_or_bad_options_are_refused_and_secrets_not_repeated(
    client: TestClient, body: dict[str, Any]
) -> None:
    answer = put(client, body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert client.get("/api/v0/containermanagers").json() == []


def test_the_documents_own_example_is_accepted(client: TestClient) -> None:
    body = {"type": "openshift", "options": {"apiserver": "https://192.168.152.101:8080/api/"}}
    assert put(client, body).json() == {"name": "ocp", **body}


def test_hosts_of_a_cluster_with_a_trivial_one_are_active(fleet: Fleet) -> None:
    fleet.client.put("/api/v0/containermanager/none", json={"type": "trivial"})
    put(fleet.client)
    for manager, status in (("none", "active"), ("ocp", "investigating")):
        fleet.client.put("/api/v0/cluster/web", json={"container_manager": manager})
        fleet.host("10.0.0.1", status="disassociated")
        assert fleet.client.put("/api/v0/cluster/web/hosts/10.0.0.1").status_code == 200
        assert fleet.client.get("/api/v0/host/10.0.0.1").json()["status"] == status
        fleet.client.delete("/api/v0/host/10.0.0.1?force=true")


def test_a_status_tells_the_managers_type_and_why_it_can_not_be_asked(fleet: Fleet) -> None:
    """Nothing listens on port 9 of the loopback."""
    fleet.client.put("/api/v0/containermanager/ocp", json={"options": {"server_url": "http://127.0.0.1:9"}})
    fleet.client.put("/api/v0/containermanager/none", json={"type": "trivial"})
    fleet.cluster("web", "10.0.0.1")
    for manager, kind in (("", "host_only"), ("none", "trivial"), ("ocp", "openshift")):
        fleet.client.put("/api/v0/cluster/web", json={"container_manager": manager})
        answer = fleet.client.get("/api/v0/host/10.0.0.1/status")
        assert (answer.status_code, answer.json()["type"], answer.json()["host"]["status"]) == (200, kind, "active")
        error = answer.json()["container_manager"].pop("error", "")
        assert answer.json()["container_manager"].keys() <= {"error"}
        assert error.startswith("container manager ocp: http://127.0.0.1:9 can't be asked") == (kind == "openshift")


def test_managers_that_hang_leave_threads_to_other_requests(fleet: Fleet) -> None:
    fleet.client.put("/api/v0/containermanager/ocp", json={"options": {"server_url": "http://127.0.0.1:9"}})
    fleet.cluster("web", "10.0.0.1")
    fleet.client.put("/api/v0/cluster/web", json={"container_manager": "ocp"})
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(kubernetes._turns)
        shown = fleet.client.get("/api/v0/host/10.0.0.1/status").json()
    assert "is not asked just now" in shown["container_manager"]["error"]


def test_what_trying_one_showed_is_told_and_refuses_nothing(fleet: Fleet) -> None:
    """Nothing listens on port 9 of the loopback."""
    path = "/api/v1/container-managers/ocp/finding"
    assert fleet.client.get(path).status_code == 404
    fleet.client.put("/api/v0/containermanager/ocp", json={"options": {"server_url": "https://127.0.0.1:9"}})
    found = fleet.client.get(path).json()
    assert (found["reachable"], found["version"], found["missing"]) == (False, "", {})
    assert found["error"].startswith("https://127.0.0.1:9 can't be asked: ")
    fleet.client.put("/api/v0/containermanager/bare", json={"options": {"token": "t"}})
    told = fleet.client.get("/api/v1/container-managers/bare/finding").json()
    assert "have no server_url" in told["error"]
    fleet.client.put("/api/v0/containermanager/none", json={"type": "trivial"})
    assert fleet.client.get("/api/v1/container-managers/none/finding").json()["reachable"] is True


def test_only_nodes_are_uncordoned_and_a_manager_that_can_t_be_asked_is_named(fleet: Fleet) -> None:
    fleet.client.put("/api/v0/containermanager/ocp", json={"options": {"server_url": "https://127.0.0.1:9"}})
    fleet.cluster("web", "10.0.0.1")
    path = "/api/v1/hosts/10.0.0.1/uncordon"
    answer = fleet.client.post(path)
    assert (answer.status_code, "is no node of a container manager" in answer.json()["detail"]) == (409, True)
    fleet.client.put("/api/v0/cluster/web", json={"container_manager": "ocp"})
    fleet.set("10.0.0.1", node_name="h1")
    answer = fleet.client.post(path)
    assert (answer.status_code, "container manager ocp: https://127.0.0.1:9" in answer.json()["detail"]) == (409, True)
    assert fleet.client.post("/api/v1/hosts/10.0.0.9/uncordon").status_code == 404
