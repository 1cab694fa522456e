"""The staging compute agent's REST: codes and shapes, on libvirt's test driver with a worker that defines machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet
from api.machine_worker import working

HOST = {"memory": 512, "disks": [8, 20], "networks": [], "install": False}
NETWORK = {"bridge": "br0", "vlan": 10}
HOSTILE = [
    "../etc", "a/../b", "a;reboot", "$(reboot)", "`reboot`", "a b", "a|b", "-rf", "--help", "a\nb", "ü", "x" * 300,
    "a'b", 'a"b', "<a/>", "{{ 1 }}", "{% if %}", "a%00b",
]  # fmt: skip


@pytest.fixture
def agent(fleet: Fleet) -> Iterator[TestClient]:
    with working(fleet):
        fleet.client.follow_redirects = False  # a POST would become a GET
        yield fleet.client


def codes(client: TestClient, *requests: tuple[Any, ...]) -> list[int]:
    return [
        client.request(method, path, **({"json": body[0]} if body else {})).status_code
        for method, path, *body in requests
    ]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_host_is_made_once_and_removed_once_by_the_documented_routes(agent: TestClient, slash: str) -> None:
    place = f"/host/ns.example.com{slash}"
    assert codes(
        agent,
        ("GET", place),
        ("POST", place, HOST),
        ("GET", place),
        ("POST", place, HOST),
        ("DELETE", f"/hosts/ns.example.com{slash}"),
        ("GET", place),
        ("DELETE", f"/hosts/ns.example.com{slash}"),
    ) == [404, 201, 204, 409, 204, 404, 404]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_network_is_made_once_and_removed_once(agent: TestClient, slash: str) -> None:
    documented, released = f"/host/ns/network/ns:vlan_10{slash}", f"/networks/ns:vlan_10{slash}"
    assert codes(
        agent,
        ("GET", documented),
        ("GET", released),
        ("POST", documented, NETWORK),
        ("GET", documented),
        ("GET", released),
        ("POST", released, NETWORK),
        ("DELETE", released),
        ("POST", released, NETWORK),
        ("DELETE", released),
        ("DELETE", released),
    ) == [404, 404, 201, 204, 200, 409, 204, 201, 204, 404]


def test_a_host_is_shown_as_virsh_prints_it(agent: TestClient) -> None:
    made = agent.post("/hosts/ns", json=HOST)
    assert (made.status_code, made.json()) == (201, {"id": "-", "name": "ns", "state": "shut off"})
    assert agent.get("/hosts/ns").json() == made.json()
    assert codes(agent, ("PUT", "/hosts/ns/start"), ("PUT", "/hosts/ns/start")) == [204, 204]
    shown = agent.get("/hosts/ns").json()
    assert (shown["name"], shown["state"], shown["id"].isdigit()) == ("ns", "running", True)
    assert shown in agent.get("/hosts").json()
    assert codes(agent, ("PUT", "/hosts/none/start"), ("DELETE", "/hosts/n")) == [404, 404]
    agent.get("/host/ns").raise_for_status()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_makes_nothing_and_is_refused_or_not_found(agent: TestClient, name: str) -> None:
    before = agent.get("/hosts").json(), agent.get("/networks").json()
    place = quote(name, safe="")
    for path, body in (("/hosts", HOST), ("/host", HOST), ("/networks", NETWORK), ("/host/ns/network", NETWORK)):
        assert agent.post(f"{path}/{place}", json=body).status_code in (400, 404, 405), path
        assert agent.get(f"{path}/{place}").status_code in (400, 404, 405), path
    assert codes(agent, ("DELETE", f"/hosts/{place}"), ("DELETE", f"/networks/{place}")) in ([404, 404], [405, 405])
    assert (agent.get("/hosts").json(), agent.get("/networks").json()) == before


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/hosts/ns", b"{", "JSON"),
        ("/host/ns/", b"", "Field required"),
        ("/hosts/ns", b"[]", "object"),
        ("/hosts/ns", b'{"disks": [1], "networks": []}', "memory"),
        ("/hosts/ns", b'{"memory": "much", "disks": [1], "networks": []}', "memory"),
        ("/hosts/ns", b'{"memory": 512, "disks": [-1], "networks": []}', "disks"),
        ("/hosts/ns", b'{"memory": 512, "disks": [1], "networks": ["a b"]}', "network can't be called"),
        ("/hosts/ns", b'{"memory": 512, "disks": [1], "networks": [], "install": true}', "location"),
        ("/networks/ns", b'{"bridge": "br0"}', "vlan"),
        ("/networks/ns", b'{"bridge": "br0; reboot", "vlan": 1}', "bridge"),
        ("/networks/ns", b'{"bridge": "br0", "vlan": 4095}', "vlan"),
    ],
)
def test_what_can_not_be_understood_is_refused_with_the_reason(
    agent: TestClient, path: str, body: bytes, words: str
) -> None:
    answer = agent.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, words in answer.text) == (400, True), answer.text


def test_a_hypervisor_that_is_not_there_is_a_bad_gateway(fleet: Fleet) -> None:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed; install libvirt-dev, then make setup")
    assert codes(fleet.client, ("GET", "/hosts"), ("GET", "/hosts/ns"), ("GET", "/host/ns")) == [502, 502, 502]
