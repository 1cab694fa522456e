"""A node that is drained and waited for, with a client that says what the test wants."""

from dataclasses import replace

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import cluster_node
from ansible_collections.commissaire.fleet.plugins.plugin_utils.cluster_node import (
    ClusterNode,
    Cordon,
    DrainOptions,
    NodeError,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import (
    BudgetError,
    ConflictError,
    MissingError,
    NodeRow,
    UnavailableError,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.node import CORDONED, Holder

ME = Holder(7, "12", "ann")


class Client:
    """An API server at the client's border: pods that leave when they are evicted, unless a budget keeps them."""

    def __init__(self):
        self.pods = {}
        self.node_object = {"metadata": {"name": "h1", "uid": "u", "resourceVersion": "1"}, "spec": {}, "status": {}}
        self.rows = [NodeRow("h1", True, True, (), "")]
        self.answers = []  # raised by the next calls of evict
        self.conflicts = 0
        self.asked = []

    def add(self, name, **changes):
        owner = [{"kind": "ReplicaSet", "name": "r", "controller": True}]
        metadata = {"namespace": "shop", "name": name, "uid": name, "ownerReferences": owner, **changes}
        self.pods[name] = {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}}

    def nodes(self):
        return self.rows

    def node(self, name):
        return self.node_object

    def patch_node(self, name, body):
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError("changed")
        self.node_object["spec"].update(body.get("spec", {}))
        metadata = self.node_object["metadata"]
        metadata.setdefault("annotations", {}).update(body["metadata"].get("annotations", {}))
        return self.node_object

    def pods_on(self, node):
        return list(self.pods.values())

    def evict(self, pod, seconds):
        self.asked.append((str(pod), seconds))
        answer = self.answers.pop(0) if self.answers else None
        if answer:
            raise answer
        del self.pods[pod.name]


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def node(client, monkeypatch):
    """A node with 60 s, on a clock that only waiting moves."""
    clock = [0.0]
    monkeypatch.setattr(cluster_node.time, "monotonic", lambda: clock[0])
    said = []

    def wait(why, seconds):
        said.append(why)
        clock[0] += seconds

    made = ClusterNode(client, "h1", 60, wait)
    made.said = said
    return made


def test_pods_are_evicted_and_waited_for(client, node):
    client.add("a")
    client.add("b")
    node.drain(DrainOptions(grace_period_seconds=3))
    assert node.evicted == ["shop/a", "shop/b"]
    assert client.asked == [("shop/a", 3), ("shop/b", 3)]


def test_a_pod_that_a_budget_keeps_is_asked_for_again_and_named_meanwhile(client, node):
    client.add("a")
    client.answers = [BudgetError("the budget web needs 2"), BudgetError("the budget web needs 2")]
    node.drain(DrainOptions())
    assert len(client.asked) == 3
    assert node.said[0] == "waits for pods to leave node h1: shop/a (the budget web needs 2)"
    assert len(node.said) == 11, "every 5 s, as kubectl does"


def test_what_is_left_when_the_time_is_up_is_named_with_what_keeps_it(client, node):
    client.add("a")
    client.add("b", deletionTimestamp="2026-11-28T00:00:00Z")
    client.answers = [BudgetError("the budget web needs 2")] * 99
    with pytest.raises(NodeError) as error:
        node.drain(DrainOptions())
    assert str(error.value) == (
        "node h1 is not drained after 60 s: shop/a (the budget web needs 2), shop/b (does not end)"
    )


def test_a_server_that_is_busy_with_an_eviction_is_asked_again(client, node):
    client.add("a")
    client.answers = [UnavailableError("429 too many requests", retry_after=1)]
    node.drain(DrainOptions())
    assert node.evicted == ["shop/a"]


@pytest.mark.parametrize("answer", [MissingError("gone"), ConflictError("another uid")])
def test_a_pod_that_is_gone_is_no_trouble(client, node, answer):
    client.add("a")
    client.answers = [answer]

    def gone(_node, pods=client.pods_on):
        found = pods(_node)
        client.pods.clear()
        return found

    client.pods_on = gone
    node.drain(DrainOptions())
    assert node.evicted == []


def test_pods_that_may_not_go_fail_the_drain_before_any_is_evicted(client, node):
    client.add("a")
    client.add("b", ownerReferences=[])
    with pytest.raises(NodeError, match="node h1 can't be drained: shop/a, shop/b belongs to no controller"):
        node.drain(DrainOptions())
    assert client.asked == []


def test_a_cordon_is_tried_again_when_the_node_changed_meanwhile(client, node):
    client.conflicts = 2
    assert node.cordon(ME) == Cordon(ours=True, changed=True, left_over=False)
    assert node.cordon(ME) == Cordon(ours=True, changed=False, left_over=False)
    assert node.uncordon(ME)
    assert not node.uncordon(ME)
    assert client.node_object["spec"]["unschedulable"] is False
    assert client.node_object["metadata"]["annotations"][CORDONED] is None


def test_a_node_that_does_not_get_ready_is_named_with_its_reason(client, node):
    with pytest.raises(NodeError, match="node h1 is not Ready after 60 s: its kubelet has told nothing yet"):
        node.wait_until_ready("")


def test_of_the_control_plane_one_may_be_away(client, node):
    client.rows = [
        NodeRow("h1", True, True, ("control-plane",), ""),
        NodeRow("h2", False, True, ("control-plane",), ""),
    ]
    with pytest.raises(
        NodeError, match="h2 of the control plane is not in service, and only one node of it may be away"
    ):
        node.wait_for_control_plane()
    client.rows[1] = NodeRow("h2", True, True, ("control-plane",), "")
    cluster_node.time.monotonic()
    node.wait_for_control_plane()


def test_two_of_the_control_plane_that_are_cordoned_at_the_same_moment_both_step_back(client, node):
    here, there = (NodeRow(name, True, True, ("control-plane",), "") for name in ("h1", "h2"))
    seen = [[here, there], [here, replace(there, schedulable=False)], [here, there], [here, there]]
    client.nodes = lambda: seen.pop(0)
    assert node.cordon_alone(ME).changed
    assert seen == []
    assert node.said == ["waits for its turn among the nodes of the control plane"]
    assert client.node_object["spec"]["unschedulable"] is True


def test_a_node_that_another_run_cordoned_since_is_no_end_of_ours(client, node):
    node.cordon(Holder(8, "13", "bob"))
    with pytest.raises(NodeError, match="node h1 stays cordoned, for another run: bob"):
        node.uncordon(ME)
    with pytest.raises(NodeError, match="node h1 is left alone: it is cordoned for bob"):
        node.cordon(ME)


def test_labels_that_are_there_are_not_set_again(client, node):
    client.node_object["metadata"]["labels"] = {"zone": "a"}
    assert not node.label({"zone": "a"})
    assert node.label({"zone": "b"})
