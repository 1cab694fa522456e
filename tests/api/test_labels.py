"""REST v1: labels of hosts, and operations on the hosts that they select."""

from __future__ import annotations

from typing import Any

import pytest

from api.conftest import Fleet

ADDRESSES = [f"10.0.0.{number}" for number in range(1, 6)]


@pytest.fixture
def zones(fleet: Fleet) -> Fleet:
    """A cluster of five hosts: two in zone a, two in zone b, the last one in none."""
    fleet.cluster("web", *ADDRESSES)
    for address, zone in zip(ADDRESSES, "aabb", strict=False):
        fleet.set(address, labels={"zone": zone, "rack": f"r{address[-1]}"})
    return fleet


def ask(fleet: Fleet, **parameters: Any) -> tuple[int, dict[str, Any]]:
    body = {"kind": "restart", "cluster": "web", "parameters": parameters}
    answer = fleet.client.post("/api/v1/operations", json=body)
    return answer.status_code, answer.json()


def hosts_of(fleet: Fleet, operation: dict[str, Any]) -> str:
    rows = fleet.client.get(f"/api/v1/operations/{operation['id']}/hosts").json()["items"]
    return "".join(row["address"][-1] for row in rows)


def test_labels_are_set_changed_and_taken_away(fleet: Fleet) -> None:
    fleet.host("10.0.0.1")
    path = "/api/v1/hosts/10.0.0.1/labels"
    assert fleet.client.put(path, json={"labels": {"zone": "a", "rack": "r1"}}).json()["labels"] == {
        "rack": "r1",
        "zone": "a",
    }
    changed = fleet.client.post(path, json={"labels": {"zone": None, "tier.of": ""}}).json()
    assert changed["labels"] == {"rack": "r1", "tier.of": ""}
    assert fleet.client.put(path, json={"labels": {}}).json()["labels"] == {}
    assert fleet.client.post("/api/v1/hosts/10.0.0.9/labels", json={"labels": {}}).status_code == 404


@pytest.mark.parametrize(
    "labels",
    [{"": "x"}, {"-a": "x"}, {"a b": "x"}, {"a": "x y"}, {"a": "{{ 7 }}"}, {"a": 7}, {"a" * 64: "x"}, {"é": "x"}],
)
def test_a_label_is_a_word_that_no_template_and_no_shell_sees_more_in(fleet: Fleet, labels: dict[str, Any]) -> None:
    fleet.host("10.0.0.1")
    for method in ("PUT", "POST"):
        answer = fleet.client.request(method, "/api/v1/hosts/10.0.0.1/labels", json={"labels": labels})
        assert answer.status_code == 400


def test_a_host_has_so_many_labels_and_no_more(fleet: Fleet) -> None:
    fleet.host("10.0.0.1")
    path = "/api/v1/hosts/10.0.0.1/labels"
    assert fleet.client.put(path, json={"labels": {f"l{n}": "x" for n in range(64)}}).status_code == 200
    answer = fleet.client.post(path, json={"labels": {"one-more": "x"}})
    assert (answer.status_code, "would have 65 labels" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("label=zone=a", "12"),
        ("label=zone", "1234"),
        ("label=zone=b&label=rack=r4", "4"),
        ("label=zone=", ""),
        ("", "12345"),
    ],
)
def test_hosts_are_found_by_label(zones: Fleet, query: str, found: str) -> None:
    items = zones.client.get(f"/api/v1/hosts?{query}").json()["items"]
    assert "".join(item["address"][-1] for item in items) == found


@pytest.mark.parametrize("label", ["=a", "zone=a b", "'", "zone==a", ""])
def test_what_selects_no_label_is_refused(fleet: Fleet, label: str) -> None:
    answer = fleet.client.get("/api/v1/hosts", params={"label": label})
    assert (answer.status_code, "selects no label" in answer.json()["detail"]) == (400, True)


def test_the_inventory_has_the_labels_and_a_group_of_each(zones: Fleet) -> None:
    zones.set("10.0.0.5", labels={"tier.of": "web-1", "empty": ""})
    inventory = zones.client.get("/api/v1/inventory").json()
    assert inventory["_meta"]["hostvars"]["10.0.0.1"]["commissaire_labels"] == {"zone": "a", "rack": "r1"}
    assert inventory["label_zone_a"] == {"hosts": ["10.0.0.1", "10.0.0.2"]}
    assert inventory["label_tier_of_web_1"] == {"hosts": ["10.0.0.5"]}
    assert "label_zone_a" in inventory["all"]["children"]
    assert not [name for name in inventory if name.startswith("label_empty")]


@pytest.mark.parametrize(
    ("parameters", "order"),
    [
        ({"hosts": ["zone=b", "10.0.0.1"]}, "134"),
        ({"host_order": "reverse_inventory"}, "54321"),
        ({"host_order": "spread", "failure_domain": "zone"}, "13524"),
        (
            {
                "hosts": ["rack=r[234]"],
                "host_order": "reverse_sorted",
                "failure_domain": "zone",
                "one_domain_at_a_time": True,
            },
            "432",
        ),
    ],
)
def test_an_operation_works_on_the_hosts_selected_in_the_order_asked_for(
    zones: Fleet, parameters: dict[str, Any], order: str
) -> None:
    status, operation = ask(zones, **parameters)
    assert (status, hosts_of(zones, operation)) == (201, order)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"hosts": ["zone=c"]}, "matches 'zone=c'"),
        ({"hosts": []}, "hosts"),
        ({"host_order": "random"}, "host_order"),
        ({"host_order": "spread"}, "failure_domain is missing"),
        ({"one_domain_at_a_time": True}, "failure_domain is missing"),
        ({"host_order": "spread", "failure_domain": "zone", "one_domain_at_a_time": True}, "choose one of them"),
        ({"failure_domain": "floor"}, "no host has a label of that name"),
        ({"min_healthy": 6}, "the cluster has only 5 hosts"),
        ({"min_healthy": "101%"}, "min_healthy"),
        ({"maintenance_windows": [{"from": "22:00", "to": "24:00", "time_zone": "UTC"}]}, "maintenance_windows"),
        ({"maintenance_windows": [{"from": "22:00", "to": "04:00", "time_zone": "Mars"}]}, "it is no time zone"),
        ({"maintenance_windows": [{"from": "22:00", "to": "04:00"}]}, "time_zone"),
        ({"blackouts": [{"from": "2026-01-01T00:00", "to": "2026-01-02T00:00"}]}, "has no offset"),
        ({"blackouts": [{"from": "2026-01-01Z", "to": "2026-01-02Z", "reason": "{{ 7 }}"}]}, "blackouts.0.reason"),
        ({"blackouts": [{"from": "2026-01-02", "to": "2026-01-01", "time_zone": "UTC"}]}, "to is not after from"),
    ],
)
def test_what_can_not_be_done_is_refused_at_once(zones: Fleet, parameters: dict[str, Any], words: str) -> None:
    status, problem = ask(zones, **parameters)
    assert (status, words in str(problem)) == (400, True), problem


def test_the_same_on_other_hosts_is_not_the_same(zones: Fleet) -> None:
    status, operation = ask(zones, hosts=["zone=a"])
    assert ask(zones, hosts=["zone=a"]) == (200, operation)
    status, problem = ask(zones, hosts=["zone=b"])
    why = f"operation {operation['id']} (restart, not just what was asked for) is queued"
    assert (status, why in problem["detail"]) == (409, True)
