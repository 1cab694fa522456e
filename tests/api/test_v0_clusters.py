"""REST v0: clusters."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet
from commissaire.records import ContainerManager, Network

BRIEF = {"name": "web", "status": "ok", "network": "default", "container_manager": ""}


def test_there_are_no_clusters_at_first(client: TestClient) -> None:
    answer = client.get("/api/v0/clusters")
    assert (answer.status_code, answer.json(), answer.headers["Content-Type"]) == (200, [], "application/json")


def test_a_cluster_is_created_shown_listed_and_deleted(client: TestClient) -> None:
    created = client.put("/api/v0/cluster/web", json={"type": "kubernetes", "network": "default"})
    assert (created.status_code, created.json()) == (201, BRIEF)
    shown = client.get("/api/v0/cluster/web")
    assert shown.json() == {**BRIEF, "hosts": {"total": 0, "available": 0, "unavailable": 0}, "hostset": []}
    assert client.get("/api/v0/clusters").json() == ["web"]
    deleted = client.delete("/api/v0/cluster/web")
    assert (deleted.status_code, deleted.json()) == (200, [])
    assert client.get("/api/v0/clusters").json() == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_missing_cluster_is_not_found(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/v0/cluster/none")
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is no cluster none")


@pytest.mark.parametrize("name", ["a b", "ä", "a.b", "x" * 65, "a%00", "%0a", "-%2F..", "a'--"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_no_name_is_not_found(client: TestClient, method: str, name: str) -> None:
    assert client.request(method, f"/api/v0/cluster/{name}", json={}).status_code == 404


@pytest.mark.parametrize("body", [{}, {"network": "default"}, {"network": ""}, {"network": None}, {"name": "web"}])
def test_an_identical_put_is_created_again(client: TestClient, body: dict[str, object]) -> None:
    for _ in range(2):
        answer = client.put("/api/v0/cluster/web", json=body)
        assert (answer.status_code, answer.json()) == (201, BRIEF)


def test_a_put_without_a_body_takes_the_defaults(client: TestClient) -> None:
    assert client.put("/api/v0/cluster/web").json() == BRIEF


def test_another_put_keeps_the_members_and_takes_the_network_and_the_container_manager(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    with fleet.services.database.write() as session:
        session.add(Network(name="overlay"))
        session.add(ContainerManager(name="ocp"))
    body = {"network": "overlay", "container_manager": "ocp"}
    assert fleet.client.put("/api/v0/cluster/web", json=body).json() == {**BRIEF, **body}
    shown = fleet.client.get("/api/v0/cluster/web").json()
    assert (shown["hostset"], shown["network"], shown["container_manager"]) == (["10.0.0.1"], "overlay", "ocp")
    assert fleet.client.put("/api/v0/cluster/web", json={"container_manager": ""}).json() == BRIEF


@pytest.mark.parametrize(
    ("body", "missing"),
    [({"network": "none"}, "network none"), ({"container_manager": "none"}, "container manager none")],
)
def test_an_unknown_network_or_container_manager_is_a_conflict(
    client: TestClient, body: dict[str, str], missing: str
) -> None:
    answer = client.put("/api/v0/cluster/web", json=body)
    assert answer.status_code == 409
    assert missing in answer.json()["detail"]
    assert client.get("/api/v0/cluster/web").status_code == 404


def test_a_name_in_the_body_that_is_not_the_urls_is_refused(client: TestClient) -> None:
    answer = client.put("/api/v0/cluster/web", json={"name": "db"})
    assert (answer.status_code, client.get("/api/v0/clusters").json()) == (400, [])


def test_fields_of_the_server_and_unknown_ones_are_ignored(client: TestClient) -> None:
    body = {"status": "failed", "hostset": ["10.0.0.1"], "hosts": {"total": 7}, "colour": "blue"}
    assert client.put("/api/v0/cluster/web", json=body).json() == BRIEF


@pytest.mark.parametrize(
    ("statuses", "status", "available"),
    [
        ([], "ok", 0),
        (["active", "active"], "ok", 2),
        (["active", "failed"], "degraded", 1),
        (["active", "investigating"], "degraded", 1),
        (["failed", "bootstrapping"], "failed", 0),
        (["disassociated"], "failed", 0),
    ],
)
def test_the_hosts_statuses_add_up(fleet: Fleet, statuses: list[str], status: str, available: int) -> None:
    fleet.cluster()
    for number, each in enumerate(statuses):
        fleet.host(f"10.0.0.{number}", status=each, cluster="web")
    shown = fleet.client.get("/api/v0/cluster/web").json()
    total = len(statuses)
    assert shown["status"] == status
    assert shown["hosts"] == {"total": total, "available": available, "unavailable": total - available}
    assert fleet.client.put("/api/v0/cluster/web").json()["status"] == status


def test_a_deleted_cluster_leaves_its_hosts_in_none(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    assert fleet.client.delete("/api/v0/cluster/web").status_code == 200
    assert fleet.client.get("/api/v0/host/10.0.0.1").json()["status"] == "disassociated"
    fleet.cluster("db")
    assert fleet.client.put("/api/v0/cluster/db/hosts/10.0.0.1").status_code == 200


def test_the_documents_other_name_of_the_list_works(client: TestClient) -> None:
    client.put("/api/v0/cluster/web")
    assert client.get("/api/v0/cluster/").json() == ["web"]
