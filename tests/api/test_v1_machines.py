"""REST v1: virtual machines, on libvirt's test driver."""

from __future__ import annotations

import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet
from api.hypervisors import mute, node, record

pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
PATH = "/api/v1/machines"


@pytest.fixture
def west(client: TestClient, tmp_path: Path) -> TestClient:
    """Two hypervisors, west with two machines and east with three."""
    record(client, "west", node(tmp_path, "web1:alice", "db1"))
    record(client, "east", node(tmp_path, "web1:bob", "web2:alice", "mail", network="dmz"))
    return client


@pytest.fixture
def silent() -> Iterator[str]:
    with mute() as uri:
        yield uri


def names(client: TestClient, **query: object) -> list[str]:
    page = client.get(PATH, params=query).json()
    return [f"{machine['name']}@{machine['hypervisor']}" for machine in page["items"]]


def act(client: TestClient, action: str, machine: str = "west/web1") -> tuple[int, str]:
    answer = client.post(f"{PATH}/{machine}/{action}").json()
    return answer.get("status", 200), answer.get("detail") or answer["state"]


def test_machines_of_all_hypervisors_are_listed_in_one_order(west: TestClient) -> None:
    page = west.get(PATH).json()
    assert page["next"] is None
    assert page["silent"] == []
    assert names(west) == ["db1@west", "mail@east", "web1@east", "web1@west", "web2@east"]
    assert page["items"][3] == {
        "name": "web1", "hypervisor": "west", "uuid": page["items"][3]["uuid"], "id": page["items"][3]["id"],
        "state": "running", "owner": "alice", "memory_kb": 524288, "vcpus": 2, "autostart": False, "networks": ["net"],
    }  # fmt: skip


def test_machines_are_filtered(west: TestClient) -> None:
    assert names(west, hypervisor="west") == ["db1@west", "web1@west"]
    assert names(west, owner="alice") == ["web1@west", "web2@east"]
    assert names(west, network="dmz", name="web*") == ["web1@east", "web2@east"]
    act(west, "poweroff")
    assert names(west, state="shut off") == ["web1@west"]
    assert west.get(PATH, params={"hypervisor": "north"}).status_code == 404
    assert west.get(PATH, params={"state": "on"}).status_code == 400


def test_pages_follow_each_other_without_gaps(west: TestClient) -> None:
    found, after = [], ""
    while after is not None:
        page = west.get(PATH, params={"after": after, "limit": 2}).json()
        found += [f"{machine['name']}@{machine['hypervisor']}" for machine in page["items"]]
        after = page["next"]
    assert found == names(west)


def test_a_hypervisor_that_hangs_is_told_of_and_delays_nobody_else(west: TestClient, silent: str) -> None:
    record(west, "hung", silent)
    answers: list[float] = []

    def list_all() -> None:
        begin = time.monotonic()
        page = west.get(PATH).json()
        answers.append(time.monotonic() - begin)
        assert [told["hypervisor"] for told in page["silent"]] == ["hung"]
        assert "within 10 s" in page["silent"][0]["reason"]
        assert len(page["items"]) == 5

    listing = threading.Thread(target=list_all)
    listing.start()
    time.sleep(0.5)
    begin = time.monotonic()
    assert west.get(f"{PATH}/west/db1").status_code == 200
    assert west.get("/api/v1/hypervisors").status_code == 200
    assert time.monotonic() - begin < 2
    listing.join()
    assert answers[0] < 12
    begin = time.monotonic()
    assert "just now" in west.get(PATH).json()["silent"][0]["reason"]
    assert west.get(f"{PATH}/hung/web1").status_code == 502
    assert time.monotonic() - begin < 2


def test_a_machine_is_told_with_all_that_belongs_to_it(west: TestClient) -> None:
    machine = west.get(f"{PATH}/west/web1").json()
    assert machine["disks"][0]["target"] == "sda"
    assert machine["disks"][0]["source"] == "/disks/web1.img"
    assert machine["ports"][0] == {"mac": "52:54:00:00:00:01", "kind": "network", "source": "net", "model": ""}
    assert machine["addresses"][0]["told_by"] == "agent"
    assert machine["snapshots"] == []


@pytest.mark.parametrize(
    ("place", "status"), [("west/nobody", 404), ("north/web1", 404), ("west/%00", 404), ("west/a%0Ab", 404)]
)
def test_what_is_not_there_is_not_found(west: TestClient, place: str, status: int) -> None:
    assert west.get(f"{PATH}/{place}").status_code == status


def test_a_hypervisor_that_is_not_allowed_is_not_asked(west: TestClient, tmp_path: Path) -> None:
    record(west, "east", "test:///default", allowed=False)
    assert names(west) == ["db1@west", "web1@west"]
    answer = west.get(f"{PATH}/east/web1")
    assert answer.status_code == 409
    assert "allow it first" in answer.json()["detail"]


def test_power_actions_bring_a_machine_from_state_to_state(west: TestClient) -> None:
    assert act(west, "suspend") == (200, "paused")
    assert act(west, "resume") == (200, "running")
    assert act(west, "reset") == (200, "running")
    assert act(west, "reboot")[0] == 200
    assert act(west, "poweroff") == (200, "shut off")
    assert act(west, "start") == (200, "running")
    assert act(west, "shutdown") == (200, "shut off")


@pytest.mark.parametrize(
    ("before", "action", "why"),
    [
        ((), "start", "machine web1 is running; start needs one that is shut off or crashed or no state"),
        ((), "resume", "machine web1 is running; resume needs one that is paused or pmsuspended"),
        (
            ("poweroff",),
            "shutdown",
            "machine web1 is shut off; shutdown needs one that is running or idle or in shutdown",
        ),
        (("suspend",), "reboot", "machine web1 is paused; reboot needs one that is running or idle"),
    ],
)
def test_an_action_that_does_not_fit_the_state_is_refused(
    west: TestClient, before: tuple[str, ...], action: str, why: str
) -> None:
    for each in before:
        assert act(west, each)[0] == 200
    assert act(west, action) == (409, why)


def test_there_are_no_other_actions_and_no_actions_on_nothing(west: TestClient) -> None:
    assert act(west, "explode")[0] == 404
    assert act(west, "start", "west/nobody") == (404, "there is no machine nobody on hypervisor west")


def test_actions_are_audited(west: TestClient) -> None:
    act(west, "suspend")
    entry = west.get("/api/v1/audit", params={"what": "/suspend"}).json()["items"][0]
    assert (entry["who"], entry["what"], entry["outcome"]) == ("admin", f"POST {PATH}/west/web1/suspend", 200)


def test_a_machine_is_asked_for_by_an_operation(west: TestClient, fleet: Fleet, tmp_path: Path) -> None:
    wanted = {"memory_mb": 2048, "disks_gb": [8], "networks": ["net"], "backing": "debian.qcow2", "owner": "alice"}
    answer = west.post(f"{PATH}/west/web9", json=wanted)
    assert answer.status_code == 201, answer.text
    operation = answer.json()
    assert answer.headers["Location"] == f"/api/v1/operations/{operation['id']}"
    assert operation["kind"] == "vm_create"
    assert operation["parameters"] == {
        **wanted, "hypervisor": "west", "name": "web9", "vcpus": 1, "until": "reachable", "existing": "fail",
    }  # fmt: skip
    again = west.post(f"{PATH}/west/web9", json=wanted)
    assert again.status_code == 409
    assert again.json()["detail"].startswith(f"operation {operation['id']} (vm_create) works on machine web9")
    assert west.delete("/api/v1/hypervisors/west").status_code == 409
    job = fleet.plan(operation["id"], tmp_path).job
    assert job is not None
    assert job.inventory["all"]["hosts"]["web9"]["vm_create_backing"] == "debian.qcow2"


@pytest.mark.parametrize(
    ("machine", "body", "status", "why"),
    [
        ("west/web1", {}, 409, "machine web1 is there already on hypervisor west"),
        ("north/web9", {}, 404, "there is no hypervisor north"),
        ("west/-x", {}, 400, "a machine can't be called '-x'"),
        ("west/web9", {"networks": ["a b"]}, 400, "a network can't be called 'a b'"),
        ("west/web9", {"owner": "{{ 1 }}"}, 400, "hold a template"),
        ("west/web9", {"location": "file:///etc"}, 400, "form"),
        ("west/web9", {"location": "http://x/", "image": "/x"}, 400, "form"),
        ("west/web9", {"disks_gb": [0]}, 400, "form"),
        ("west/web9", {"colour": "red"}, 400, "form"),
    ],
)
def test_a_machine_that_can_not_be_made_is_refused(
    west: TestClient, machine: str, body: dict[str, object], status: int, why: str
) -> None:
    answer = west.post(f"{PATH}/{machine}", json=body)
    assert answer.status_code == status
    assert why in answer.json()["detail"]


def test_a_machine_with_nothing_to_boot_is_not_waited_for(west: TestClient) -> None:
    assert west.post(f"{PATH}/west/web9", json={}).json()["parameters"]["until"] == "created"


def test_a_removal_is_an_operation(west: TestClient) -> None:
    answer = west.delete(f"{PATH}/west/web1", params={"keep_disks": True})
    assert answer.status_code == 202
    assert answer.json()["kind"] == "vm_remove"
    assert answer.json()["parameters"] == {"hypervisor": "west", "name": "web1", "disks": False, "missing": "fail"}
    assert west.delete(f"{PATH}/west/web1").status_code == 409
    assert west.delete(f"{PATH}/west/nobody").status_code == 404


def test_snapshots_are_taken_reverted_to_and_deleted(west: TestClient) -> None:
    path = f"{PATH}/west/web1/snapshots"
    first = west.post(path, json={"name": "clean", "description": "a <b> & c"})
    assert first.status_code == 201, first.text
    assert (first.json()["state"], first.json()["description"]) == ("running", "a <b> & c")
    assert west.post(path, json={"name": "clean"}).status_code == 409
    assert west.post(path, json={"name": "later"}).json()["parent"] == "clean"
    assert [one["name"] for one in west.get(path).json()["items"]] == ["clean", "later"]
    act(west, "poweroff")
    assert west.post(f"{path}/clean/revert").status_code == 204
    assert west.get(f"{PATH}/west/web1").json()["state"] == "running"
    assert west.delete(f"{path}/clean").status_code == 204
    assert west.get(f"{PATH}/west/web1").json()["snapshots"] == ["later"]
    assert west.post(f"{path}/clean/revert").json()["detail"] == "machine web1 has no snapshot clean"
    assert west.delete(f"{path}/clean").status_code == 404


def test_a_screenshot_is_a_png(west: TestClient) -> None:
    picture = west.get(f"{PATH}/west/web1/screenshot")
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG\r\n\x1a\n")
    act(west, "poweroff")
    assert west.get(f"{PATH}/west/web1/screenshot").status_code == 409


def test_a_ppm_becomes_a_png_of_the_same_pixels() -> None:
    from commissaire.machines.screenshot import as_png

    pixels = bytes(range(18))
    png = as_png(b"P6\n# a comment\n3 2\n255\n" + pixels)
    assert struct.unpack(">II", png[16:24]) == (3, 2)
    begin = png.index(b"IDAT")
    length = struct.unpack(">I", png[begin - 4 : begin])[0]
    rows = zlib.decompress(png[begin + 4 : begin + 4 + length])
    assert rows == b"\0" + pixels[:9] + b"\0" + pixels[9:]


def test_a_driver_without_consoles_is_told_of(west: TestClient) -> None:
    answer = west.get(f"{PATH}/west/web1/console", params={"seconds": 1})
    assert answer.status_code == 409
    assert "virDomainOpenConsole" in answer.json()["detail"]
