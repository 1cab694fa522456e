"""REST v1: what happens to machines, as a stream."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.hypervisors import node, record
from commissaire.machines.events import Lost, Reader

pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
PATH = "/api/v1/machines"


def stream(client: TestClient, *actions: str, **query: Any) -> list[tuple[str, dict[str, Any]]]:
    """Read the stream for some seconds, in which actions are carried out; return names and data."""

    def act() -> None:
        time.sleep(1)
        for action in actions:
            assert client.post(f"{PATH}/{action}").status_code == 200

    acting = threading.Thread(target=act)
    acting.start()
    text = client.get(f"{PATH}/events", params={"seconds": 3, **query}).text
    acting.join()
    lines = [line.partition(": ")[::2] for line in text.splitlines()]
    kinds = [value for key, value in lines if key == "event"]
    return list(zip(kinds, [json.loads(value) for key, value in lines if key == "data"], strict=True))


def test_what_happens_on_all_hypervisors_is_told_as_it_happens(client: TestClient, tmp_path: Path) -> None:
    record(client, "west", node(tmp_path, "web1"))
    record(client, "east", node(tmp_path, "web2"))
    told = stream(client, "west/web1/suspend", "east/web2/poweroff", "west/web1/resume")
    assert sorted(data["hypervisor"] for kind, data in told if kind == "hypervisor") == ["east", "west"]
    assert [(data["machine"], data["event"]) for kind, data in told if kind == "machine"] == [
        ("web1", "suspended"), ("web2", "stopped"), ("web1", "resumed"),
    ]  # fmt: skip
    again = stream(client, "west/web1/suspend", "east/web2/start", name="web1", hypervisor="west")
    assert [(kind, data.get("event")) for kind, data in again] == [("hypervisor", None), ("machine", "suspended")]


def test_a_hypervisor_that_does_not_answer_is_told_of_and_told_again_when_it_does(
    client: TestClient, tmp_path: Path
) -> None:
    late = tmp_path / "late.xml"
    record(client, "late", f"test://{late}")

    def arrive() -> None:
        time.sleep(1)
        Path(node(tmp_path, "web1").removeprefix("test://")).rename(late)

    arriving = threading.Thread(target=arrive)
    arriving.start()
    told = stream(client, seconds=8)
    arriving.join()
    assert [kind for kind, _ in told] == ["hypervisor", "hypervisor"]
    assert "late.xml" in told[0][1]["silent"]
    assert told[1][1]["silent"] == ""


def test_a_client_that_reads_too_slowly_is_told_how_much_it_missed() -> None:
    async def read() -> list[Any]:
        reader = Reader(asyncio.get_running_loop())
        for number in range(1003):
            reader.put(Lost(number))
        return [await reader.next(1) for _ in range(1001)]

    found = asyncio.run(read())
    assert found[:1000] == [Lost(number) for number in range(1000)]
    assert found[1000] == Lost(3)
