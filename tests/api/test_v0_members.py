"""REST v0: the members of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from api.conftest import Fleet
from commissaire.records import ContainerManager


@pytest.fixture
def web(fleet: Fleet) -> Fleet:
    """Cluster web with 10.0.0.1, a ready host in none, one that isn't ready, and one in cluster db."""
    fleet.cluster("web", "10.0.0.1")
    fleet.host("10.0.0.2", status="disassociated")
    fleet.host("10.0.0.3", status="investigating")
    fleet.cluster("db", "10.0.0.4")
    return fleet


def test_the_members_are_listed(web: Fleet) -> None:
    assert web.client.get("/api/v0/cluster/web/hosts").json() == ["10.0.0.1"]


def test_the_members_are_replaced_when_the_old_ones_are_right(web: Fleet) -> None:
    body = {"old": ["10.0.0.1"], "new": ["10.0.0.2", "10.0.0.2"]}
    answer = web.client.put("/api/v0/cluster/web/hosts", json=body)
    assert answer.status_code == 200
    assert answer.json() == {
        "name": "web", "status": "ok", "network": "default", "container_manager": "", "hostset": ["10.0.0.2"],
    }  # fmt: skip
    assert web.client.get("/api/v0/host/10.0.0.1").json()["status"] == "disassociated"


def test_the_comparison_is_one_of_sets(web: Fleet) -> None:
    both = ["10.0.0.2", "10.0.0.1"]
    assert web.client.put("/api/v0/cluster/web/hosts", json={"old": ["10.0.0.1"], "new": both}).status_code == 200
    body = {"old": [*both, "10.0.0.2"], "new": []}
    assert web.client.put("/api/v0/cluster/web/hosts", json=body).json()["hostset"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"old": [], "new": []}, 409),
        ({"old": ["10.0.0.1", "10.0.0.2"], "new": []}, 409),
        ({"old": ["10.0.0.9"], "new": []}, 409),
        ({"old": ["a b"], "new": []}, 409),
        ({"old": ["10.0.0.9"], "new": ["10.0.0.9"]}, 409),
        ({"old": [], "new": ["10.0.0.3"]}, 409),
        ({"old": ["10.0.0.1"], "new": ["10.0.0.4"]}, 409),
        ({"old": ["10.0.0.1"], "new": ["10.0.0.9"]}, 404),
        ({"old": ["10.0.0.1"], "new": ["a b"]}, 404),
        ({"old": ["10.0.0.1"], "new": ["10.0.0.3"]}, 405),
        ({"old": ["10.0.0.1"]}, 400),
        ({"new": ["10.0.0.1"]}, 400),
        ({"old": "10.0.0.1", "new": []}, 400),
        ({"old": ["10.0.0.1"], "new": {"10.0.0.2": 1}}, 400),
        ({"old": [1], "new": []}, 400),
        ({"old": ["10.0.0.1"], "new": [], "name": "db"}, 400),
        ({"old": ["10.0.0.1"], "new": None}, 400),
        ([], 400),
        (None, 400),
    ],
)
def test_other_replacements_are_refused_and_change_nothing(web: Fleet, body: Any, status: int) -> None:
    assert web.client.put("/api/v0/cluster/web/hosts", json=body).status_code == status
    assert web.client.get("/api/v0/cluster/web/hosts").json() == ["10.0.0.1"]


def test_a_put_of_members_without_a_body_is_refused(web: Fleet) -> None:
    assert web.client.put("/api/v0/cluster/web/hosts").status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("web/hosts/10.0.0.1", 200),
        ("web/hosts/10.0.0.2", 404),
        ("web/hosts/10.0.0.9", 404),
        ("db/hosts/10.0.0.1", 404),
        ("none/hosts/10.0.0.1", 404),
        ("none/hosts", 404),
    ],
)
def test_a_membership_is_found_or_not(web: Fleet, path: str, status: int) -> None:
    answer = web.client.get(f"/api/v0/cluster/{path}")
    assert answer.status_code == status
    assert status != 200 or answer.json() == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("web/hosts/10.0.0.1", 200),
        ("web/hosts/10.0.0.2", 200),
        ("web/hosts/10.0.0.3", 405),
        ("web/hosts/10.0.0.4", 409),
        ("web/hosts/10.0.0.9", 404),
        ("none/hosts/10.0.0.2", 404),
    ],
)
def test_a_host_joins_or_the_answer_says_why_not(web: Fleet, path: str, status: int) -> None:
    for _ in range(2):  # idempotent
        answer = web.client.put(f"/api/v0/cluster/{path}")
        assert answer.status_code == status
        assert status != 200 or answer.json() == [path.rpartition("/")[2]]


def test_a_host_that_is_not_ready_gets_its_reason_and_the_verbs_that_work(web: Fleet) -> None:
    answer = web.client.put("/api/v0/cluster/web/hosts/10.0.0.3", json={})
    assert "10.0.0.3 is investigating" in answer.json()["detail"]
    assert answer.headers["Allow"] == "GET, PUT, DELETE"


def test_a_host_that_joins_is_active_but_for_a_managed_cluster(web: Fleet) -> None:
    with web.services.database.write() as session:
        session.add(ContainerManager(name="ocp"))
    web.client.put("/api/v0/cluster/managed", json={"container_manager": "ocp"})
    for cluster, status in (("web", "active"), ("managed", "disassociated")):
        assert web.client.put(f"/api/v0/cluster/{cluster}/hosts/10.0.0.2").status_code == 200
        assert web.client.get("/api/v0/host/10.0.0.2").json()["status"] == status
        web.client.delete(f"/api/v0/cluster/{cluster}/hosts/10.0.0.2")


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.9"])
def test_a_host_leaves_even_when_it_is_no_member(web: Fleet, address: str) -> None:
    for _ in range(2):
        answer = web.client.request("DELETE", f"/api/v0/cluster/web/hosts/{address}", json={})
        assert (answer.status_code, answer.json()) == (200, [])
    assert web.client.get("/api/v0/cluster/web/hosts/10.0.0.1").status_code == (404 if address == "10.0.0.1" else 200)
    assert web.client.get("/api/v0/cluster/db/hosts").json() == ["10.0.0.4"]


def test_nobody_leaves_a_missing_cluster(web: Fleet) -> None:
    assert web.client.delete("/api/v0/cluster/none/hosts/10.0.0.1").status_code == 404


def test_members_may_have_ipv6_addresses_in_any_form(fleet: Fleet) -> None:
    fleet.cluster("web", "2001:db8::1")
    assert fleet.client.get("/api/v0/cluster/web/hosts/2001:DB8:0::1").json() == ["2001:db8::1"]
    answer = fleet.client.put("/api/v0/cluster/web/hosts", json={"old": ["2001:db8:0:0::1"], "new": []})
    assert (answer.status_code, answer.json()["hostset"]) == (200, [])
