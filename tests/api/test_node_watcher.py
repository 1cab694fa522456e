"""The node watcher: hosts whose nodes vanish, are renamed or come back, and container managers that don't answer."""

from __future__ import annotations

from typing import Any

import pytest

from api.conftest import Fleet
from commissaire import node_watcher
from commissaire.managers.error import ManagerError
from commissaire.managers.kubernetes import SeenNode
from commissaire.metrics import Metrics
from commissaire.node_watcher import NodeWatcher
from commissaire.records import OperationState

GONE = (
    "node: its node h1 is gone from container manager lab; bootstrap the host again (commctl host bootstrap) to make "
    "it a node, or take it out of the cluster"
)


def node(name: str, address: str, **more: Any) -> SeenNode:
    return SeenNode(name, frozenset({address, name}), **{"ready": True, "cordoned": False, **more})


class Lists:
    """What the container managers say, by the token that they are asked with."""

    def __init__(self) -> None:
        self.nodes: dict[str, list[SeenNode] | str] = {}

    def __call__(self, options: dict[str, Any]) -> list[SeenNode]:
        found = self.nodes[options["token"]]
        if isinstance(found, str):
            raise ManagerError(found)
        return found


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> Lists:
    made = Lists()
    monkeypatch.setattr(node_watcher, "list_nodes", made)
    return made


@pytest.fixture
def metrics(fleet: Fleet) -> Metrics:
    return Metrics(fleet.services.database)


@pytest.fixture
def watcher(fleet: Fleet, lists: Lists, metrics: Metrics) -> NodeWatcher:
    """Cluster web with 10.0.0.1, which is node h1, and 10.0.0.2, which is none; container manager edge is not used."""
    for name in ("lab", "edge"):
        options = {"server_url": "https://k8s.example.com:6443", "token": name}
        fleet.client.put(f"/api/v0/containermanager/{name}", json={"type": "kubernetes", "options": options})
    fleet.client.put("/api/v0/cluster/web", json={"container_manager": "lab"})
    for address, status in (("10.0.0.1", "active"), ("10.0.0.2", "disassociated")):
        fleet.host(address, status=status, cluster="web")
        fleet.set(address, bootstrapped=True)
    fleet.set("10.0.0.1", node_name="h1")
    fleet.end(1)
    lists.nodes["lab"] = [node("h1", "10.0.0.1")]
    return NodeWatcher(fleet.services.database, fleet.services.secrets, metrics, 60)


def shown(fleet: Fleet, address: str = "10.0.0.1") -> tuple[str, str, str]:
    host = fleet.client.get(f"/api/v1/hosts/{address}").json()
    return host["node_name"], host["status"], host["message"]


def test_nothing_changes_while_everything_is_as_it_was(fleet: Fleet, watcher: NodeWatcher) -> None:
    before = shown(fleet), shown(fleet, "10.0.0.2")
    watcher.look()
    assert (shown(fleet), shown(fleet, "10.0.0.2")) == before == (("h1", "active", ""), ("", "disassociated", ""))


def test_a_node_that_vanished_is_told_and_known_again_when_it_is_back(
    fleet: Fleet, watcher: NodeWatcher, lists: Lists
) -> None:
    lists.nodes["lab"] = []
    watcher.look()
    assert shown(fleet) == ("", "disassociated", GONE)
    watcher.look()
    assert shown(fleet) == ("", "disassociated", GONE)
    lists.nodes["lab"] = [node("h1", "10.0.0.1")]
    watcher.look()
    assert shown(fleet) == ("h1", "active", "")


def test_a_node_that_is_called_otherwise_is_known_by_its_address(
    fleet: Fleet, watcher: NodeWatcher, lists: Lists
) -> None:
    lists.nodes["lab"] = [node("h9", "10.0.0.9"), node("web-1", "10.0.0.1")]
    watcher.look()
    assert shown(fleet) == (
        "web-1", "active", "node: its node is called web-1 in container manager lab now, not h1 any more",
    )  # fmt: skip


def test_a_host_that_somebody_else_made_a_node_is_one(fleet: Fleet, watcher: NodeWatcher, lists: Lists) -> None:
    lists.nodes["lab"] = [node("h1", "10.0.0.1"), node("h2", "10.0.0.2")]
    watcher.look()
    assert shown(fleet, "10.0.0.2") == ("h2", "active", "")


def test_a_failed_host_stays_failed_and_says_why(fleet: Fleet, watcher: NodeWatcher, lists: Lists) -> None:
    fleet.set("10.0.0.1", status="failed", message="check: no answer")
    lists.nodes["lab"] = []
    watcher.look()
    assert shown(fleet) == ("", "failed", "check: no answer")


def test_a_host_that_an_operation_has_is_left_alone(fleet: Fleet, watcher: NodeWatcher, lists: Lists) -> None:
    lists.nodes["lab"] = []
    operation = fleet.restart()
    fleet.claim()
    watcher.look()
    assert shown(fleet) == ("h1", "active", "")
    fleet.end(operation, OperationState.CANCELLED)
    watcher.look()
    assert shown(fleet) == ("", "disassociated", GONE)


@pytest.mark.parametrize("status", ["investigating", "bootstrapping"])
def test_a_host_that_is_being_bootstrapped_is_left_alone(
    fleet: Fleet, watcher: NodeWatcher, lists: Lists, status: str
) -> None:
    fleet.set("10.0.0.1", status=status)
    lists.nodes["lab"] = []
    watcher.look()
    assert shown(fleet) == ("h1", status, "")


def test_the_metrics_tell_who_answers_and_count_the_nodes(
    fleet: Fleet, watcher: NodeWatcher, lists: Lists, metrics: Metrics
) -> None:
    def told(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"container_manager": "lab", **labels})

    assert told("commissaire_container_manager_up") is None
    lists.nodes["lab"] = [
        node("h1", "10.0.0.1"), node("h3", "", ready=False), node("h4", "", cordoned=True),
        node("h5", "", ready=False, cordoned=True),
    ]  # fmt: skip
    watcher.look()
    states = {state: told("commissaire_nodes", state=state) for state in ("ready", "not_ready", "cordoned")}
    assert (told("commissaire_container_manager_up"), states) == (1, {"ready": 1, "not_ready": 2, "cordoned": 1})
    lists.nodes["lab"] = "https://k8s.example.com:6443 can't be asked"
    watcher.look()
    assert (told("commissaire_container_manager_up"), told("commissaire_nodes", state="ready")) == (0, None)
    assert shown(fleet) == ("h1", "active", ""), "nobody knows that it is gone"


def test_a_container_manager_that_no_cluster_uses_is_not_asked(watcher: NodeWatcher, metrics: Metrics) -> None:
    watcher.look()
    assert [*metrics.nodes] == ["lab"]
