"""Sources over REST: hosts whose facts a provider owns, with a real provider that is asked by a real listing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import KEY, PASSWORD, USER, Fleet, checkpoint, settings_in
from commissaire.app import create_app
from commissaire.clock import now
from commissaire.fleet import checks, sources
from commissaire.fleet.checks import Outcome
from commissaire.fleet.errors import Conflict
from commissaire.sources.refresher import Refresher

FACTS = {"os": "debian", "os_version": "12", "cpus": 64, "memory_kb": 1, "space_bytes": 2}


class Cloud:
    """A provider in a file, and a server that knows it as `cloudforms`."""

    def __init__(self, fleet: Fleet, path: Path) -> None:
        self.fleet = fleet
        self.path = path
        self.settings = fleet.services.settings.sources["cloudforms"]

    def tells(self, **hosts: dict[str, Any]) -> None:
        """Let the provider list these hosts from now on, and be asked."""
        document = {"_meta": {"hostvars": hosts}, "all": {"hosts": list(hosts)}}
        self.path.write_text(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(document)}\nEOF\n")
        self.path.chmod(0o755)
        self.refresh()

    def refresh(self) -> None:
        assert self.fleet.client.post("/api/v1/sources/cloudforms/refresh").status_code == 202
        services = self.fleet.services
        refresher = Refresher(services.database, services.settings.sources, self.path.parent)
        assert refresher.refresh("cloudforms", self.settings)

    def add(self, address: str) -> None:
        body = {"ssh_priv_key": KEY, "source": "cloudforms"}
        assert self.fleet.client.put(f"/api/v0/host/{address}", json=body).status_code == 201

    def shown(self, address: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.fleet.client.get(f"/api/v1/hosts/{address}").json()
        return answer

    def source(self) -> dict[str, Any]:
        (source,) = self.fleet.client.get("/api/v1/sources").json()["items"]
        assert isinstance(source, dict)
        return source


@pytest.fixture
def cloud(tmp_path: Path, empty_database: Path) -> Iterator[Cloud]:
    path = tmp_path / "cloud"
    configured = {"cloudforms": {"inventory": path, "variables": {"space_gb": "disk", "memory_kb": "memory"}}}
    with TestClient(create_app(settings_in(tmp_path, empty_database, sources=configured))) as client:
        client.auth = (USER, PASSWORD)
        yield Cloud(Fleet(client, client.app.state.services), path)  # type: ignore[attr-defined]


def web(os: str = "Fedora", cpus: int = 4) -> dict[str, Any]:
    return {
        "ansible_host": "10.0.0.1", "ansible_distribution": os, "ansible_processor_vcpus": cpus,
        "memory": 2048, "disk": 1,
    }  # fmt: skip


def test_a_hosts_facts_are_its_sources_and_its_status_is_ours(cloud: Cloud) -> None:
    cloud.add("10.0.0.1")
    assert cloud.shown("10.0.0.1")["source_state"] == "unknown"

    cloud.tells(web=web())

    v0 = cloud.fleet.client.get("/api/v0/host/10.0.0.1").json()
    assert v0 == {
        "address": "10.0.0.1", "status": "investigating", "os": "fedora", "cpus": 4, "memory": 2048,
        "space": 2**30, "last_check": "", "source": "cloudforms",
    }  # fmt: skip
    assert cloud.fleet.client.get("/api/v0/hosts").json() == [v0]
    assert cloud.shown("10.0.0.1")["source_state"] == "listed"
    source = cloud.source()
    assert cloud.shown("10.0.0.1")["source_seen_at"] == source["listed_at"]
    assert (source["state"], source["hosts"], source["recorded"], source["missing"]) == ("ok", 1, 1, 0)


def test_bootstraps_and_checks_leave_the_sources_facts_alone(cloud: Cloud) -> None:
    cloud.add("10.0.0.1")
    cloud.tells(web=web())
    cloud.fleet.claim("bootstrap").write([checkpoint("10.0.0.1", "done", "finished", facts=FACTS)])
    cloud.fleet.end(1)
    with cloud.fleet.services.database.write() as session:
        checks.record(session, {"10.0.0.1": Outcome(facts={**FACTS, "os_version": "13"})}, 1000, now())
    shown = cloud.shown("10.0.0.1")
    assert (shown["status"], shown["os"], shown["cpus"], shown["memory_kb"]) == ("disassociated", "fedora", 4, 2048)
    assert shown["os_version"] == "13"
    assert shown["last_check"] is not None


def test_a_new_host_has_at_once_what_its_source_told_before(cloud: Cloud) -> None:
    cloud.tells(web=web())
    cloud.add("10.0.0.1")
    assert (cloud.shown("10.0.0.1")["os"], cloud.shown("10.0.0.1")["source_state"]) == ("fedora", "listed")


def test_a_host_is_found_by_its_name_in_the_source_too(cloud: Cloud) -> None:
    cloud.add("web.example.com")
    cloud.tells(**{"Web.Example.com": {**web(), "ansible_host": "192.168.3.3"}})
    assert cloud.shown("web.example.com")["os"] == "fedora"


def test_a_provider_that_is_down_is_told_and_loses_nothing(cloud: Cloud) -> None:
    cloud.add("10.0.0.1")
    cloud.tells(web=web())
    listed_at = cloud.source()["listed_at"]
    cloud.path.write_text("#!/bin/sh\necho the cloud is closed >&2; exit 1\n")
    cloud.refresh()

    shown, source = cloud.shown("10.0.0.1"), cloud.source()
    assert (shown["os"], shown["cpus"], shown["source_state"]) == ("fedora", 4, "unavailable")
    assert shown["source_seen_at"] == listed_at
    assert (source["state"], source["hosts"], source["listed_at"]) == ("failing", 1, listed_at)
    assert "the cloud is closed" in source["error"]
    assert source["tried_at"] > listed_at

    cloud.tells(web=web("Debian", 8))
    shown = cloud.shown("10.0.0.1")
    assert (shown["os"], shown["cpus"], shown["source_state"]) == ("debian", 8, "listed")
    assert (cloud.source()["state"], cloud.source()["error"]) == ("ok", "")


def test_a_host_that_is_not_listed_any_more_is_told_and_stays(cloud: Cloud) -> None:
    cloud.add("10.0.0.1")
    cloud.tells(web=web())
    cloud.tells(other={"ansible_host": "10.0.0.2"})
    shown = cloud.shown("10.0.0.1")
    assert (shown["os"], shown["source_state"]) == ("fedora", "missing")
    assert cloud.source()["missing"] == 1
    (told,) = cloud.fleet.client.get("/api/v1/sources/cloudforms/hosts").json()["items"]
    assert (told["name"], told["address"], told["status"], told["owned"]) == ("other", "10.0.0.2", None, False)


def test_the_hosts_of_a_source_say_which_are_recorded(cloud: Cloud) -> None:
    cloud.add("10.0.0.1")
    cloud.fleet.host("10.0.0.2")
    cloud.tells(a=web(), b={"ansible_host": "10.0.0.2"}, c={"ansible_host": "10.0.0.3"}, d={"ansible_host": "no/where"})
    items = cloud.fleet.client.get("/api/v1/sources/cloudforms/hosts").json()["items"]
    assert [(item["address"], item["status"], item["owned"]) for item in items] == [
        ("10.0.0.1", "investigating", True), ("10.0.0.2", "active", False), ("10.0.0.3", None, False),
        (None, None, False),
    ]  # fmt: skip


def test_a_source_nobody_configured_is_refused_with_the_next_step(cloud: Cloud) -> None:
    answer = cloud.fleet.client.put("/api/v0/host/10.0.0.1", json={"source": "vmware"})
    assert answer.status_code == 409
    assert "configured are: cloudforms" in answer.json()["detail"]
    with pytest.raises(Conflict, match="none is configured"):
        sources.check_source("vmware", [])
    assert cloud.fleet.client.put("/api/v0/host/10.0.0.1", json={"source": ""}).status_code == 201
    for path in ("/api/v1/sources/vmware/hosts", "/api/v1/sources/x%00/hosts"):
        assert cloud.fleet.client.get(path).status_code == 404
    assert cloud.fleet.client.post("/api/v1/sources/vmware/refresh").status_code == 404


def test_a_host_keeps_its_source_and_may_get_one_later(cloud: Cloud) -> None:
    cloud.add("10.0.0.1")
    cloud.fleet.client.put("/api/v0/host/10.0.0.1", json={"ssh_priv_key": KEY})
    assert cloud.shown("10.0.0.1")["source"] == "cloudforms"
    cloud.tells(a={**web(), "ansible_host": "10.0.0.2"})
    cloud.fleet.host("10.0.0.2", ssh_priv_key=KEY)
    assert cloud.shown("10.0.0.2")["source_state"] is None
    cloud.add("10.0.0.2")
    assert (cloud.shown("10.0.0.2")["source_state"], cloud.shown("10.0.0.2")["os"]) == ("listed", "fedora")


def test_a_source_is_listed_by_one_server_at_a_time_and_when_it_is_due(cloud: Cloud) -> None:
    def claimed() -> bool:
        with cloud.fleet.services.database.write() as session:
            return sources.claim(session, "cloudforms", 60)

    assert [claimed(), claimed()] == [True, False]
    with cloud.fleet.services.database.write() as session:
        assert sources.record_failure(session, "cloudforms", "gone", 300)
        assert not sources.record_failure(session, "cloudforms", "gone", 300)
        source = sources.get_source(session, "cloudforms", ["cloudforms"])
        assert source.due_at is not None
        assert 299 < (source.due_at - now()).total_seconds() <= 300
    assert not claimed()
    with cloud.fleet.services.database.write() as session:
        source = sources.get_source(session, "cloudforms", ["cloudforms"])
        source.due_at = now() - timedelta(seconds=1)
        session.add(source)
    assert [claimed(), claimed()] == [True, False]
