"""REST v1: hosts, their pinned keys, and the inventory."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import ANOTHER_HOST_KEY, HOST_KEY, KEY, Fleet


def test_a_host_is_shown_with_all_but_its_secrets(fleet: Fleet) -> None:
    fleet.cluster("web")
    fleet.host("10.0.0.1", cluster="web", ssh_priv_key=KEY, remote_user="operator", ssh_host_key=HOST_KEY)
    assert fleet.client.get("/api/v1/hosts/10.0.0.1").json() == {
        "address": "10.0.0.1", "status": "active", "message": "", "cluster": "web", "os": "", "os_version": "",
        "os_family": "", "kernel": "", "cpus": 0, "memory_kb": 0, "space_bytes": 0, "remote_user": "operator",
        "labels": {}, "source": "", "source_state": None, "source_seen_at": None,
        "last_check": None, "next_check": None, "check_failures": 0, "node_name": "", "host_key": HOST_KEY,
    }  # fmt: skip


def test_hosts_are_filtered_and_paged(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1", "10.0.0.3")
    fleet.host("10.0.0.2", status="failed")

    def page(query: str) -> tuple[list[str], Any]:
        answer = fleet.client.get(f"/api/v1/hosts?{query}").json()
        return [item["address"] for item in answer["items"]], answer["next"]

    assert page("") == (["10.0.0.1", "10.0.0.2", "10.0.0.3"], None)
    assert page("cluster=web") == (["10.0.0.1", "10.0.0.3"], None)
    assert page("status=failed") == (["10.0.0.2"], None)
    assert page("limit=2") == (["10.0.0.1", "10.0.0.2"], "10.0.0.2")
    assert page("limit=2&after=10.0.0.2") == (["10.0.0.3"], None)
    assert page("after=x%00'--") == ([], None)


@pytest.mark.parametrize(
    ("query", "status"),
    [("cluster=none", 404), ("status=unknown", 400), ("limit=0", 400), ("limit=5001", 400), ("limit=x", 400)],
)
def test_queries_that_make_no_sense_are_refused(client: TestClient, query: str, status: int) -> None:
    assert client.get(f"/api/v1/hosts?{query}").status_code == status


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [("GET", "", None), ("PUT", "/host-key", {"host_key": None}), ("POST", "/bootstrap", None)],
)
def test_a_missing_host_is_not_found(client: TestClient, method: str, rest: str, body: Any) -> None:
    for address in ("10.0.0.9", "-oProxyCommand=id", "a b"):
        assert client.request(method, f"/api/v1/hosts/{address}{rest}", json=body).status_code == 404


def test_a_host_key_is_pinned_and_forgotten(fleet: Fleet) -> None:
    fleet.host("10.0.0.1", ssh_host_key=HOST_KEY)
    for key, pinned in ((f"{ANOTHER_HOST_KEY} root@host", ANOTHER_HOST_KEY), (None, None)):
        answer = fleet.client.put("/api/v1/hosts/10.0.0.1/host-key", json={"host_key": key})
        assert (answer.status_code, answer.json()["host_key"]) == (200, pinned)
        assert fleet.client.get("/api/v1/hosts/10.0.0.1").json()["host_key"] == pinned


@pytest.mark.parametrize(
    "body",
    [{}, {"host_key": ""}, {"host_key": "x"}, {"host_key": 1}, {"key": HOST_KEY}, [], None,
     {"host_key": HOST_KEY, "force": True}, {"host_key": f"{HOST_KEY}\n{HOST_KEY}"}],
)  # fmt: skip
def test_what_is_no_host_key_is_refused(fleet: Fleet, body: Any) -> None:
    fleet.host("10.0.0.1", ssh_host_key=HOST_KEY)
    assert fleet.client.put("/api/v1/hosts/10.0.0.1/host-key", json=body).status_code == 400
    assert fleet.client.get("/api/v1/hosts/10.0.0.1").json()["host_key"] == HOST_KEY


def test_a_host_is_bootstrapped_again(fleet: Fleet) -> None:
    fleet.host("10.0.0.1")
    fleet.end(1)
    answer = fleet.client.post("/api/v1/hosts/10.0.0.1/bootstrap")
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/v1/operations/2")
    assert (answer.json()["kind"], answer.json()["hosts"]["total"]) == ("bootstrap", 1)


def test_hosts_that_come_together_are_bootstrapped_together(client: TestClient) -> None:
    for number in range(5):
        client.put(f"/api/v0/host/10.0.0.{number}", json={})
    items = client.get("/api/v1/operations").json()["items"]
    assert [item["hosts"]["total"] for item in items] == [5]


def test_the_inventory_is_what_ansible_reads(fleet: Fleet) -> None:
    fleet.cluster("web-1", "10.0.0.1")
    fleet.cluster("empty")
    fleet.host("2001:db8::1", status="failed", ssh_priv_key=KEY, ssh_host_key=HOST_KEY, remote_user="operator")
    fleet.set("10.0.0.1", os="debian", cpus=2)
    answer = fleet.client.get("/api/v1/inventory")
    inventory = answer.json()
    assert inventory["cluster_web_1"] == {"hosts": ["10.0.0.1"]}
    assert inventory["cluster_empty"] == {"hosts": []}
    assert inventory["status_active"] == {"hosts": ["10.0.0.1"]}
    assert inventory["status_failed"] == {"hosts": ["2001:db8::1"]}
    assert inventory["os_debian"] == {"hosts": ["10.0.0.1"]}
    hostvars = inventory["_meta"]["hostvars"]
    expected = {"ansible_host": "10.0.0.1", "commissaire_cluster": "web-1", "commissaire_cpus": 2}
    assert hostvars["10.0.0.1"].items() >= expected.items()
    assert hostvars["2001:db8::1"]["ansible_user"] == "operator"
    assert KEY not in answer.text
    assert HOST_KEY not in answer.text


def test_an_inventory_that_has_not_changed_is_not_sent_again(fleet: Fleet) -> None:
    fleet.host("10.0.0.1")
    etag = fleet.client.get("/api/v1/inventory").headers["ETag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = fleet.client.get("/api/v1/inventory", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert fleet.client.get("/api/v1/inventory", headers={"If-None-Match": '"other"'}).status_code == 200
    fleet.set("10.0.0.1", status="failed")
    changed = fleet.client.get("/api/v1/inventory", headers={"If-None-Match": etag})
    assert (changed.status_code, changed.headers["ETag"] != etag) == (200, True)
