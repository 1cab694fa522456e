"""REST v0: networks."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet

SERVER = {"type": "flannel_server", "options": {"address": "192.168.152.101:8080"}}


def put(client: TestClient, name: str = "overlay", body: dict[str, Any] | None = None) -> Any:
    return client.put(f"/api/v0/network/{name}", json=SERVER if body is None else body)


def test_the_default_network_is_there_from_the_start(client: TestClient) -> None:
    assert client.get("/api/v0/networks").json() == ["default"]
    assert client.get("/api/v0/network/default").json() == {"name": "default", "type": "flannel_etcd", "options": {}}


@pytest.mark.parametrize("body", [SERVER, {**SERVER, "type": "flanneld_service"}, {"type": "flannel_etcd"}])
def test_a_network_is_created_shown_listed_and_deleted(client: TestClient, body: dict[str, Any]) -> None:
    shown = {"name": "overlay", "options": {}, **body}
    created = put(client, body=body)
    assert (created.status_code, created.json()) == (201, shown)
    assert client.get("/api/v0/network/overlay").json() == shown
    assert client.get("/api/v0/networks").json() == ["default", "overlay"]
    deleted = client.delete("/api/v0/network/overlay")
    assert (deleted.status_code, deleted.json()) == (200, [])
    assert client.get("/api/v0/network/overlay").status_code == 404


def test_the_type_is_flannel_etcd_when_nothing_is_said(client: TestClient) -> None:
    assert put(client, body={}).json()["type"] == "flannel_etcd"


def test_the_same_again_is_created_again_and_another_one_is_a_conflict(client: TestClient) -> None:
    assert put(client).status_code == 201
    assert put(client).status_code == 201
    assert put(client, body={"type": "flannel_etcd"}).status_code == 409
    answer = put(client, body={**SERVER, "options": {"address": "10.0.0.1:8080"}})
    assert (answer.status_code, "delete it first" in answer.json()["detail"]) == (409, True)
    assert client.get("/api/v0/network/overlay").json() == {"name": "overlay", **SERVER}


def test_deleting_what_is_not_there_is_right(client: TestClient) -> None:
    assert client.delete("/api/v0/network/overlay").json() == []


def test_the_default_network_and_one_that_is_in_use_stay(fleet: Fleet) -> None:
    put(fleet.client)
    fleet.client.put("/api/v0/cluster/web", json={"network": "overlay"})
    for name in ("default", "overlay"):
        answer = fleet.client.delete(f"/api/v0/network/{name}")
        assert (answer.status_code, name in answer.json()["detail"]) == (409, True)
    fleet.client.delete("/api/v0/cluster/web")
    assert fleet.client.delete("/api/v0/network/overlay").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"type": "bridge"},
        {"type": 1},
        {"type": None},
        {"options": []},
        {"options": "address"},
        {"type": "flannel_server"},
        {"type": "flannel_server", "options": {"address": "192.168.152.101"}},
        {"type": "flannel_server", "options": {"address": "192.168.152.101:0"}},
        {"type": "flannel_server", "options": {"address": "a b:80"}},
        {"type": "flanneld_service", "options": {"address": 8080}},
        {"options": {"server_url": "http://h:1 x"}},
        {"options": {"server_url": ["http://h:1", 5]}},
        {"options": {"server_url": ["http://h:1", "http://root:secret@h:1"]}},
        {"options": {"prefix": "{{lookup('pipe','id')}}"}},
        {"options": {"certificate_path": "/etc/shadow"}},
        {"options": {"certificate_path": "/etc/commissaire/commissaire.conf"}},
        {"options": {"certificate_path": "/etc/commissaire/certificates/../commissaire.conf"}},
        {"options": {"docker": "no"}},
        {"name": "another"},
        {"options": {"key": "a\x00b"}},
        {"options": {"key": 10**30}},
    ],
)
def test_a_bad_type_or_bad_options_are_refused(client: TestClient, body: dict[str, Any]) -> None:
    answer = put(client, body=body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert client.get("/api/v0/networks").json() == ["default"]


def test_options_nested_too_deep_are_refused(client: TestClient) -> None:
    for depth, status in ((30, 201), (100, 400), (900, 400)):
        body = '{"options": ' + '{"a": ' * depth + "1" + "}" * depth + "}"
        assert client.put("/api/v0/network/overlay", content=body).status_code == status
        client.delete("/api/v0/network/overlay")
