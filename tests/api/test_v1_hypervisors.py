"""REST v1: hypervisors, and the networks of machines on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet
from api.hypervisors import mute, node, record

pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
PATH = "/api/v1/hypervisors"
NETWORKS = "/api/v1/vm-networks"


def test_a_hypervisor_is_recorded_changed_and_forgotten(client: TestClient) -> None:
    assert client.get(PATH).json() == {"items": []}
    first = client.put(f"{PATH}/lab", json={"uri": "test:///default"})
    assert first.status_code == 201
    told = first.json()
    assert (told["allowed"], told["virt_type"], told["pool"]) == (True, "auto", "default")
    assert client.put(f"{PATH}/lab", json={"uri": "test:///default", "pool": "fast"}).status_code == 200
    assert client.get(PATH).json() == {"items": [{**told, "pool": "fast"}]}
    assert client.delete(f"{PATH}/lab").status_code == 204
    assert client.get(f"{PATH}/lab").status_code == 404
    assert client.delete(f"{PATH}/lab").status_code == 404


def test_a_hypervisor_is_asked_for_its_version(client: TestClient) -> None:
    record(client, "lab", "test:///default")
    told = client.get(f"{PATH}/lab").json()
    assert (told["reachable"], told["driver"], told["version"], told["failure"]) == (True, "TEST", "0.0.2", "")
    assert told["libvirt_version"].count(".") == 2


def test_one_that_can_not_be_reached_is_told_in_libvirts_words(client: TestClient, tmp_path: Path) -> None:
    record(client, "lab", f"test://{tmp_path}/nothing.xml")
    told = client.get(f"{PATH}/lab").json()
    assert told["reachable"] is False
    assert told["failure"].startswith("hypervisor lab: ")
    assert "nothing.xml" in told["failure"]


def test_one_that_hangs_is_told_of_in_time(client: TestClient) -> None:
    with mute() as uri:
        record(client, "hung", uri)
        assert "within 5 s" in client.get(f"{PATH}/hung").json()["failure"]


def test_one_that_is_not_allowed_is_not_asked(client: TestClient) -> None:
    record(client, "lab", "test:///default", allowed=False)
    assert client.get(f"{PATH}/lab").json()["failure"] == "hypervisor lab is not asked, for it is not allowed"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("lab", {"uri": "qemu:///system?command=/bin/sh"}),
        ("lab", {"uri": "esx://host/"}),
        ("lab", {"uri": "test:///default", "virt_type": "xen"}),
        ("lab", {"uri": "test:///default", "pool": ""}),
        ("lab", {}),
    ],
)
def test_what_can_not_be_used_is_not_recorded(client: TestClient, name: str, body: dict[str, str]) -> None:
    assert client.put(f"{PATH}/{name}", json=body).status_code == 400
    assert client.get(PATH).json() == {"items": []}


@pytest.mark.parametrize("name", ["-lab", "l" * 65, "a b"])
def test_there_is_no_place_for_a_name_that_can_not_be_used(client: TestClient, name: str) -> None:
    assert client.put(f"{PATH}/{name}", json={"uri": "test:///default"}).status_code == 404


def test_networks_of_all_hypervisors_are_listed(client: TestClient, tmp_path: Path) -> None:
    record(client, "west", node(tmp_path))
    record(client, "east", node(tmp_path, network="dmz"))
    record(client, "gone", f"test://{tmp_path}/nothing.xml")
    found = client.get(NETWORKS).json()
    assert [(one["name"], one["hypervisor"]) for one in found["items"]] == [("dmz", "east"), ("net", "west")]
    assert found["items"][1] == {
        "name": "net", "hypervisor": "west", "uuid": found["items"][1]["uuid"], "mode": "nat", "active": True,
        "autostart": False, "persistent": True, "bridge": "virbr7", "vlan": None, "addresses": ["192.168.77.1/24"],
    }  # fmt: skip
    assert found["silent"][0]["hypervisor"] == "gone"
    assert len(client.get(NETWORKS, params={"hypervisor": "west"}).json()["items"]) == 1


def test_a_network_is_asked_for_and_removed_by_operations(client: TestClient, fleet: Fleet, tmp_path: Path) -> None:
    record(client, "west", node(tmp_path))
    wanted = {
        "address": "192.168.9.1/24", "dhcp": {"start": "192.168.9.10", "end": "192.168.9.99"}, "domain": "lab",
    }  # fmt: skip
    answer = client.post(f"{NETWORKS}/west/lab", json=wanted)
    assert answer.status_code == 201, answer.text
    assert answer.json()["kind"] == "vm_network_create"
    assert answer.json()["parameters"] == {
        "hypervisor": "west", "name": "lab", "mode": "nat", **wanted, "existing": "fail",
    }  # fmt: skip
    job = fleet.plan(answer.json()["id"], tmp_path).job
    assert job is not None
    assert job.inventory["all"]["hosts"]["west"]["vm_network_dhcp"] == wanted["dhcp"]
    assert client.post(f"{NETWORKS}/west/net", json={}).status_code == 409
    removal = client.delete(f"{NETWORKS}/west/net")
    assert (removal.status_code, removal.json()["kind"]) == (202, "vm_network_remove")
    assert client.delete(f"{NETWORKS}/west/nothing").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "bridge"},
        {"mode": "openvswitch", "bridge": "br0", "vlan": 4095},
        {"mode": "bridge", "bridge": "br0", "vlan": 7},
        {"mode": "openvswitch", "bridge": "br0", "domain": "lab"},
        {"mode": "nat", "bridge": "br0"},
        {"address": "192.168.9.300/24"},
        {"address": False},
        {"dhcp": {"start": "192.168.9.10"}},
    ],
)
def test_a_network_that_makes_no_sense_is_refused(client: TestClient, tmp_path: Path, body: dict[str, object]) -> None:
    record(client, "west", node(tmp_path))
    assert client.post(f"{NETWORKS}/west/lab", json=body).status_code == 400
