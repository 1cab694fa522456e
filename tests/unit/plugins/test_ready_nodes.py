"""Which hosts are no nodes that serve."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import ready_nodes
from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import KubernetesError, NodeRow
from ansible_collections.commissaire.fleet.plugins.plugin_utils.ready_nodes import (
    Cluster,
    out_of_service,
    read_clusters,
)

ROWS = {
    "lab": [
        NodeRow("h1", ready=True, schedulable=True, roles=(), address="10.0.0.1"),
        NodeRow("h2", ready=False, schedulable=True, roles=(), address="10.0.0.2"),
        NodeRow("h3", ready=True, schedulable=False, roles=(), address="10.0.0.3"),
        NodeRow("worker-4", ready=True, schedulable=True, roles=(), address="10.0.0.4"),
        NodeRow("h5", ready=False, schedulable=True, roles=(), address="10.0.0.9"),
    ],
    "edge": [NodeRow("e1", ready=True, schedulable=True, roles=(), address="")],
}


@pytest.fixture(autouse=True)
def api_servers(monkeypatch):
    class Client:
        def __init__(self, kubeconfig, context):
            self.kubeconfig = kubeconfig

        def nodes(self):
            if self.kubeconfig not in ROWS:
                raise KubernetesError("nobody there")
            return ROWS[self.kubeconfig]

    monkeypatch.setattr(ready_nodes, "KubernetesClient", Client)


@pytest.mark.parametrize(
    ("host", "serves"),
    [
        ((("h1",), ""), True),
        ((("h2",), "10.0.0.2"), False),
        ((("h3",), "10.0.0.3"), False),
        ((("nobody", "4"), "10.0.0.4"), True),
        ((("10.0.0.4",), "10.0.0.4"), True),
        ((("h5",), "10.0.0.4"), False),  # the node of that name is this host, whoever has the address
        ((("h6",), "10.0.0.6"), False),
    ],
)
def test_a_host_serves_whose_node_is_ready_and_not_cordoned(host, serves):
    away, trouble = out_of_service([Cluster("lab", "", {"it": host})])
    assert ("it" not in away, trouble) == (serves, "")


def test_of_an_api_server_that_can_t_be_asked_no_node_serves():
    hosts = {"h1": (("h1",), ""), "h2": (("h2",), "")}
    clusters = [Cluster("gone", "", hosts), Cluster("edge", "", {"e1": (("e1",), "")})]
    assert out_of_service(clusters) == ({"h1", "h2"}, "nobody there")


def test_hosts_belong_to_the_cluster_that_their_variables_tell():
    variables = {
        "h1": {"kubeconfig": "lab", "node_name": "worker-1", "ansible_host": "10.0.0.1"},
        "h2": {},
        "e1": {"kubeconfig": "edge", "kube_context": "far"},
    }
    assert read_clusters(["h1", "h2", "e1", "10.0.0.9"], variables, "lab", "near", {"10.0.0.9": "worker-9"}) == [
        Cluster(
            "lab",
            "near",
            {
                "h1": (("worker-1", "h1"), "10.0.0.1"),
                "h2": (("h2",), "h2"),
                "10.0.0.9": (("worker-9", "10.0.0.9"), "10.0.0.9"),
            },
        ),
        Cluster("edge", "far", {"e1": (("e1",), "e1")}),
    ]
    assert read_clusters(["h2"], variables, "", "", {}) == []
