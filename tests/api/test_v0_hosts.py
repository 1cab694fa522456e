"""REST v0: hosts."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from api.conftest import ANOTHER_HOST_KEY, HOST_KEY, KEY, Fleet
from commissaire.records import Host

NEW = {
    "address": "10.0.0.1", "status": "investigating", "os": "", "cpus": 0, "memory": 0, "space": 0, "last_check": "",
    "source": "",
}  # fmt: skip


def test_a_host_is_recorded_shown_listed_and_deleted(client: TestClient) -> None:
    assert client.get("/api/v0/hosts").json() == []
    created = client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY, "remote_user": "root"})
    assert (created.status_code, created.json()) == (201, NEW)
    assert client.get("/api/v0/host/10.0.0.1").json() == NEW
    assert client.get("/api/v0/hosts").json() == [NEW]
    deleted = client.delete("/api/v0/host/10.0.0.1")
    assert (deleted.status_code, deleted.json()) == (200, [])
    assert client.get("/api/v0/hosts").json() == []


def test_what_was_found_out_is_shown(fleet: Fleet) -> None:
    fleet.host("10.0.0.1", source="cloudforms")
    checked = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
    fleet.set("10.0.0.1", os="fedora", cpus=4, memory_kb=11989228, space_bytes=487652, last_check=checked)
    shown = {
        "address": "10.0.0.1", "status": "active", "os": "fedora", "cpus": 4, "memory": 11989228, "space": 487652,
        "last_check": "2026-11-21T09:00:00.000000", "source": "cloudforms",
    }  # fmt: skip
    assert fleet.client.get("/api/v0/host/10.0.0.1").json() == shown
    assert fleet.client.get("/api/v0/hosts").json() == [shown]
    assert fleet.client.get("/api/v0/host/10.0.0.1/status").json() == {
        "type": "host_only",
        "host": {"last_check": "2026-11-21T09:00:00.000000", "status": "active"},
        "container_manager": {},
    }


@pytest.mark.parametrize("path", ["host/10.0.0.9", "host/10.0.0.9/status", "host/a b", "host/a b/status"])
def test_a_missing_host_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(f"/api/v0/{path}").status_code == 404


def test_a_missing_host_is_not_deleted(client: TestClient) -> None:
    assert client.delete("/api/v0/host/10.0.0.9").status_code == 404


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ({"ssh_priv_key": KEY}, {"ssh_priv_key": KEY}, 201),
        ({}, {}, 201),
        ({"ssh_priv_key": KEY}, {"ssh_priv_key": "b3RoZXI="}, 409),
        ({"ssh_priv_key": KEY}, {}, 409),
        ({}, {"ssh_priv_key": KEY}, 409),
        ({"cluster": "web"}, {"cluster": "web"}, 201),
        ({"cluster": "web"}, {}, 201),
        ({"remote_user": "fleet"}, {}, 201),
        ({"remote_user": "fleet"}, {"remote_user": "fleet"}, 201),
        ({"remote_user": "fleet"}, {"remote_user": "root"}, 409),
        ({}, {"remote_user": "root"}, 201),
        ({}, {"remote_user": "fleet"}, 409),
        ({"cluster": "web"}, {"cluster": "db"}, 409),
        ({}, {"cluster": "db"}, 409),
        ({}, {"cluster": "none"}, 409),
        ({"ssh_host_key": HOST_KEY}, {"ssh_host_key": f"{HOST_KEY} root@host"}, 201),
        ({"ssh_host_key": HOST_KEY}, {"ssh_host_key": ANOTHER_HOST_KEY}, 409),
        ({"source": "cloudforms"}, {"source": "cloudforms"}, 201),
        ({"source": "cloudforms"}, {"source": "nobody"}, 409),
    ],
)
def test_the_same_put_is_created_again_and_another_conflicts(
    client: TestClient, first: dict[str, str], second: dict[str, str], status: int
) -> None:
    client.put("/api/v0/cluster/web")
    client.put("/api/v0/cluster/db")
    before = client.put("/api/v0/host/10.0.0.1", json=first)
    assert before.status_code == 201
    again = client.put("/api/v0/host/10.0.0.1", json=second)
    assert again.status_code == status
    assert client.get("/api/v0/host/10.0.0.1").json() == before.json()
    assert len(client.get("/api/v1/operations?kind=bootstrap").json()["items"]) == 1


def test_an_unknown_cluster_is_a_conflict_and_records_no_host(client: TestClient) -> None:
    answer = client.put("/api/v0/host/10.0.0.1", json={"cluster": "none"})
    assert (answer.status_code, client.get("/api/v0/hosts").json()) == (409, [])
    assert "there is no cluster none" in answer.json()["detail"]


def test_a_host_with_a_cluster_is_its_member_from_the_start(client: TestClient) -> None:
    client.put("/api/v0/cluster/web")
    client.put("/api/v0/host/10.0.0.1", json={"cluster": "web"})
    assert client.get("/api/v0/cluster/web/hosts").json() == ["10.0.0.1"]
    client.delete("/api/v0/host/10.0.0.1")
    assert client.get("/api/v0/cluster/web/hosts").json() == []


@pytest.mark.parametrize(
    "body",
    [
        {"ssh_priv_key": "not base64!"},
        {"ssh_priv_key": "dGVz\ndAo="},
        {"ssh_priv_key": "dGVzdA"},
        {"ssh_priv_key": "ключ"},
        {"ssh_priv_key": 5},
        {"ssh_priv_key": ["dGVzdAo="]},
        {"remote_user": "-oProxyCommand=id"},
        {"remote_user": "root root"},
        {"remote_user": "root\nroot"},
        {"remote_user": "a@b"},
        {"remote_user": 0},
        {"remote_user": "x" * 33},
        {"cluster": 1},
        {"cluster": ["web"]},
        {"source": {}},
        {"source": "a\x00b"},
        {"source": "a\nb"},
        {"source": "x" * 254},
        {"address": "10.0.0.2"},
        {"address": 1},
        {"ssh_host_key": "ssh-ed25519"},
        {"ssh_host_key": "ssh-ed25519 dGVzdAo="},
        {"ssh_host_key": f"{HOST_KEY}\n* {HOST_KEY}"},
        {"ssh_host_key": f"@cert-authority * {HOST_KEY}"},
        {"ssh_host_key": f"10.0.0.9 {HOST_KEY}"},
        {"ssh_host_key": 1},
    ],
)
def test_a_bad_field_is_refused_with_its_reason(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.put("/api/v0/host/10.0.0.1", json=body)
    assert answer.status_code == 400, answer.text
    assert next(iter(body)) in answer.text
    assert client.get("/api/v0/hosts").json() == []


def test_a_key_that_is_no_base64_is_told_so_but_not_repeated(client: TestClient) -> None:
    answer = client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": "CANARY CANARY"})
    assert answer.status_code == 400
    assert "base64 -w0" in answer.json()["detail"]
    assert "CANARY" not in answer.text
    assert "CANARY" not in client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": ["CANARY"]}).text


@pytest.mark.parametrize("key", [KEY, "", base64.b64encode(bytes(range(256))).decode()])
def test_any_base64_is_taken_for_a_key_until_it_is_used(client: TestClient, key: str) -> None:
    for _ in range(2):
        assert client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": key}).status_code == 201


def test_fields_of_the_server_and_unknown_ones_are_ignored(client: TestClient) -> None:
    body = {"status": "active", "cpus": 64, "os": "x", "last_check": "y", "colour": "blue", "address": "10.0.0.1"}
    assert client.put("/api/v0/host/10.0.0.1", json=body).json() == NEW


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("2001:DB8::00A:1", "2001:db8::a:1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("fe80::1%25eth0", "fe80::1%eth0"),
        ("Web-1.Example.COM", "web-1.example.com"),
        ("under_score", "under_score"),
    ],
)
def test_a_host_has_one_address_however_it_is_written(client: TestClient, given: str, canonical: str) -> None:
    created = client.put(f"/api/v0/host/{given}", json={})
    assert (created.status_code, created.json()["address"]) == (201, canonical)
    body = {"address": given.replace("%25", "%")}
    assert client.put(f"/api/v0/host/{canonical.replace('%', '%25')}", json=body).status_code == 201
    assert len(client.get("/api/v0/hosts").json()) == 1
    assert client.get(f"/api/v0/host/{given}/status").status_code == 200
    assert client.delete(f"/api/v0/host/{given}").status_code == 200


@pytest.mark.parametrize("path", ["host", "host/"])
def test_a_host_that_calls_itself_is_recorded_under_its_address(client: TestClient, path: str) -> None:
    assert client.put(f"/api/v0/{path}", json={"ssh_priv_key": KEY}).json()["address"] == "10.9.9.9"
    assert client.get("/api/v0/host/10.9.9.9").status_code == 200


@pytest.mark.parametrize(
    ("caller", "address"), [("::ffff:10.8.8.8", "10.8.8.8"), ("2001:db8:0::8", "2001:db8::8"), ("fd00::1", "fd00::1")]
)
def test_the_address_of_a_caller_on_a_socket_for_both_families(fleet: Fleet, caller: str, address: str) -> None:
    host = TestClient(fleet.client.app, client=(caller, 5000))
    host.auth = fleet.client.auth
    created = host.put("/api/v0/host", json={"ssh_priv_key": KEY})
    assert (created.status_code, created.json()["address"]) == (201, address)
    with fleet.services.database.read() as session:
        assert session.exec(select(Host)).one().remote_user == "root"


def test_a_host_that_calls_may_name_its_address(client: TestClient) -> None:
    assert client.put("/api/v0/host", json={"address": "10.0.0.1"}).json() == NEW


def test_an_empty_address_is_none_and_a_bad_one_is_the_bodys_fault(client: TestClient) -> None:
    assert client.put("/api/v0/host", json={"address": ""}).json()["address"] == "10.9.9.9"
    refused = client.put("/api/v0/host", json={"address": "a b"})
    assert refused.status_code == 400
    assert "'a b' is neither an IP address nor a host name" in refused.json()["detail"]


def test_the_host_key_and_the_user_given_are_kept(fleet: Fleet) -> None:
    body = {"ssh_host_key": f" {HOST_KEY} a comment\n", "remote_user": "operator"}
    fleet.client.put("/api/v0/host/10.0.0.1", json=body)
    with fleet.services.database.read() as session:
        host = session.exec(select(Host)).one()
    assert (host.host_key, host.remote_user) == (HOST_KEY, "operator")


def test_a_host_that_an_operation_works_on_is_not_deleted(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    operation = fleet.restart()
    fleet.claim()
    for address in ("10.0.0.1", "10.0.0.2"):
        answer = fleet.client.delete(f"/api/v0/host/{address}")
        assert answer.status_code == 409
        assert f"operation {operation} (restart)" in answer.json()["detail"]
    fleet.end(operation)
    assert fleet.client.delete("/api/v0/host/10.0.0.1").status_code == 200


def test_a_deleted_host_takes_its_key_with_it(client: TestClient) -> None:
    client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY})
    client.delete("/api/v0/host/10.0.0.1")
    assert client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": "b3RoZXI="}).status_code == 201
