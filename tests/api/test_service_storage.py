"""A service's `StorageClient` against the application: members are compared with those that were read."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import Fleet
from commissaire.service import Cluster, ServiceSettings, StorageClient, StorageError


@pytest.fixture
def storage(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> StorageClient:
    storage = StorageClient(ServiceSettings(bus_uri="memory://", endpoint="http://testserver"))
    storage.close()
    monkeypatch.setattr(storage, "_http", client)
    return storage


@pytest.fixture
def fleet(fleet: Fleet) -> Fleet:
    """A fleet with two hosts in the cluster web, and two in none."""
    fleet.cluster("web", "10.0.0.1", "10.0.0.2")
    fleet.host("10.0.0.3")
    fleet.host("10.0.0.4")
    return fleet


def join(fleet: Fleet, address: str) -> None:
    assert fleet.client.put(f"/api/v0/cluster/web/hosts/{address}").status_code == 200


def members(fleet: Fleet) -> Any:
    return fleet.client.get("/api/v0/cluster/web").json()["hostset"]


def test_members_that_others_have_changed_since_they_were_read_are_not_overwritten(
    fleet: Fleet, storage: StorageClient
) -> None:
    cluster = storage.get(Cluster, "web")
    assert cluster.hostset is not None
    join(fleet, "10.0.0.4")
    cluster.hostset.append("10.0.0.3")
    with pytest.raises(StorageError, match="read them again") as caught:
        storage.save(cluster)
    assert caught.value.status == 409
    assert members(fleet) == ["10.0.0.1", "10.0.0.2", "10.0.0.4"]


def test_members_that_are_as_they_were_read_are_left_to_others(fleet: Fleet, storage: StorageClient) -> None:
    cluster = storage.get(Cluster, "web")
    join(fleet, "10.0.0.4")
    assert storage.save(cluster).hostset == ["10.0.0.1", "10.0.0.2", "10.0.0.4"]


def test_a_record_can_be_changed_and_saved_again(fleet: Fleet, storage: StorageClient) -> None:
    cluster = storage.get(Cluster, "web")
    for hostset in (["10.0.0.1"], ["10.0.0.1", "10.0.0.3"], []):
        cluster.hostset = hostset
        assert storage.save(cluster).hostset == hostset == members(fleet)


def test_members_of_a_record_that_was_not_read_are_set(fleet: Fleet, storage: StorageClient) -> None:
    assert storage.save(Cluster("web", hostset=["10.0.0.3"])).hostset == ["10.0.0.3"]
    assert storage.save(Cluster.of({"name": "web"})).hostset == ["10.0.0.3"]
