"""Hosts that are nodes of a container manager: none is lost sight of, and they join and leave as operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.conftest import Fleet, checkpoint, private_key

LEAVE = {"kind": "node_leave", "cluster": "web", "parameters": {"hosts": ["10.0.0.1"]}}
UPGRADE = {"kind": "kubelet_upgrade", "cluster": "web", "parameters": {"kubernetes_version": "1.35"}}


@pytest.fixture
def web(fleet: Fleet) -> Fleet:
    """Cluster web of node h1 and of a host that is none, container managers, and a host in no cluster."""
    for name in ("lab", "other"):
        options = {"server_url": "https://k8s.example.com:6443", "token": "secret"}
        fleet.client.put(f"/api/v0/containermanager/{name}", json={"type": "kubernetes", "options": options})
    fleet.client.put("/api/v0/containermanager/none", json={"type": "trivial"})
    fleet.client.put("/api/v0/cluster/web", json={"container_manager": "lab"})
    for address in ("10.0.0.1", "10.0.0.2"):
        fleet.host(address, cluster="web", ssh_priv_key=private_key())
    fleet.set("10.0.0.1", node_name="h1")
    fleet.host("10.0.0.9", status="disassociated")
    fleet.end(1)
    return fleet


def ask(fleet: Fleet, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = fleet.client.post("/api/v1/operations", json=body)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("method", "path", "body", "forced"),
    [
        ("DELETE", "/api/v0/host/10.0.0.1", None, True),
        ("DELETE", "/api/v0/cluster/web/hosts/10.0.0.1", None, True),
        ("DELETE", "/api/v0/cluster/web", None, True),
        ("PUT", "/api/v0/cluster/web/hosts", {"old": ["10.0.0.1", "10.0.0.2"], "new": ["10.0.0.2"]}, False),
        ("PUT", "/api/v0/cluster/web", {"container_manager": "none"}, False),
        ("PUT", "/api/v0/cluster/web", {}, False),
    ],
)
def test_nobody_loses_sight_of_a_node_unless_that_is_forced(
    web: Fleet, method: str, path: str, body: dict[str, Any] | None, forced: bool
) -> None:
    answer = web.client.request(method, path, json=body)
    assert answer.status_code == 409, answer.text
    assert answer.json()["detail"].startswith(
        "host 10.0.0.1 is node h1 of container manager lab; let it leave first "
        "(commctl cluster node-leave start web 10.0.0.1), or force"
    )
    assert web.client.get("/api/v0/cluster/web").json()["hostset"] == ["10.0.0.1", "10.0.0.2"]
    assert web.client.request(method, f"{path}?force=true", json=body).status_code == (200 if forced else 409)


def test_a_container_manager_is_replaced_by_another_one_as_with_new_credentials(web: Fleet) -> None:
    assert web.client.put("/api/v0/cluster/web", json={"container_manager": "other"}).status_code == 201


def test_a_host_that_is_no_node_goes_as_it_came(web: Fleet) -> None:
    assert web.client.delete("/api/v0/cluster/web/hosts/10.0.0.2").status_code == 200
    assert web.client.delete("/api/v0/host/10.0.0.2").status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v0/cluster/web/hosts/10.0.0.9", None),
        ("/api/v0/cluster/web/hosts", {"old": ["10.0.0.1", "10.0.0.2"], "new": ["10.0.0.1", "10.0.0.2", "10.0.0.9"]}),
    ],
)
def test_a_host_that_joins_is_bootstrapped_as_a_node_and_no_other_is(
    web: Fleet, path: str, body: dict[str, Any] | None
) -> None:
    for _ in range(2):
        assert web.client.put(path, json=body).status_code == 200
        body = body and {**body, "old": body["new"]}
    assert web.client.get("/api/v0/host/10.0.0.9").json()["status"] == "investigating"
    (operation,) = web.client.get("/api/v1/operations?kind=bootstrap&state=queued").json()["items"]
    hosts = web.client.get(f"/api/v1/operations/{operation['id']}/hosts").json()["items"]
    assert [host["address"] for host in hosts] == ["10.0.0.9"]


def test_a_host_that_is_just_being_made_a_node_stays_where_it_is_unless_that_is_forced(web: Fleet) -> None:
    assert web.client.put("/api/v0/cluster/web/hosts/10.0.0.9").status_code == 200
    paths = ("/api/v0/cluster/web/hosts/10.0.0.9", "/api/v0/host/10.0.0.9")
    for path in paths:
        answer = web.client.delete(path)
        assert (answer.status_code, "is just being made a node of container manager lab" in answer.text) == (409, True)
    for path in paths:
        assert web.client.delete(f"{path}?force=true").status_code == 200


def test_a_host_that_is_no_node_is_neither_drained_nor_missed(web: Fleet, tmp_path: Path) -> None:
    web.set("10.0.0.2", status="disassociated")
    body = {"kind": "restart", "cluster": "web", "parameters": {"min_healthy": "50%"}}
    status, operation = ask(web, body)
    assert (status, operation["hosts"]["not_started"], operation["hosts"]["pending"]) == (201, 1, 1)
    hosts = web.client.get(f"/api/v1/operations/{operation['id']}/hosts").json()["items"]
    assert hosts[1]["message"].startswith("the host is no node of the cluster's container manager; bootstrap it again")
    job = web.plan(operation["id"], tmp_path).job
    assert job is not None
    assert job.extra_vars["min_healthy_of"] == ["10.0.0.1"]
    assert job.extra_vars["min_healthy_nodes"] == {"10.0.0.1": "h1"}
    web.set("10.0.0.2", message="node: its node h2 is gone")
    job = web.plan(operation["id"], tmp_path).job
    assert job is not None
    assert job.extra_vars["min_healthy_of"] == ["10.0.0.1", "10.0.0.2"], "a node that is gone is missed"


def test_a_node_that_left_is_a_disassociated_host(web: Fleet, tmp_path: Path) -> None:
    status, operation = ask(web, LEAVE)
    assert (status, operation["hosts"]["total"]) == (201, 1), operation
    job = web.plan(operation["id"], tmp_path).job
    assert job is not None
    assert (job.playbook, [*job.kubeconfigs]) == ("commissaire.fleet.node_leave", ["lab"])
    assert job.inventory["all"]["hosts"]["10.0.0.1"]["node_name"] == "h1"
    journal = web.claim("node_leave")
    journal.write([checkpoint("10.0.0.1", "leaving"), checkpoint("10.0.0.1", "done", "finished", "left its cluster")])
    host = web.client.get("/api/v1/hosts/10.0.0.1").json()
    assert (host["node_name"], host["status"], host["cluster"]) == ("", "disassociated", "web")
    web.end(operation["id"])
    assert web.client.delete("/api/v0/host/10.0.0.1").status_code == 200


def test_a_node_whose_leave_failed_is_still_one(web: Fleet) -> None:
    ask(web, LEAVE)
    web.claim("node_leave").write([checkpoint("10.0.0.1", "leaving", "failed", "h1 can't be asked")])
    host = web.client.get("/api/v1/hosts/10.0.0.1").json()
    assert (host["node_name"], host["status"]) == ("h1", "failed")
    assert host["message"] == "node_leave: leaving: h1 can't be asked"


def test_a_kubelet_upgrade_is_told_its_version_and_how_to_drain(web: Fleet, tmp_path: Path) -> None:
    parameters = {"kubernetes_version": "1.35", "drain_delete_emptydir_data": True, "drain_timeout_seconds": 60}
    status, operation = ask(web, {**UPGRADE, "parameters": parameters})
    assert status == 201, operation
    job = web.plan(operation["id"], tmp_path).job
    assert job is not None
    assert job.playbook == "commissaire.fleet.kubelet_upgrade"
    assert parameters.items() <= job.extra_vars.items()
    assert ask(web, {**UPGRADE, "parameters": parameters}) == (200, operation)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({**LEAVE, "parameters": {}}, "hosts"),
        ({"kind": "node_leave", "cluster": "web"}, "parameters"),
        ({**UPGRADE, "parameters": {"kubernetes_version": "newest"}}, "kubernetes_version"),
        ({**UPGRADE, "parameters": {"kubernetes_version": "1.35; id"}}, "kubernetes_version"),
        ({**UPGRADE, "parameters": {"drain_force": "yes"}}, "drain_force"),
    ],
)
def test_what_can_not_be_used_is_refused(web: Fleet, body: dict[str, Any], words: str) -> None:
    status, problem = ask(web, body)
    assert (status, words in str(problem)) == (400, True), problem


@pytest.mark.parametrize("body", [LEAVE, UPGRADE])
def test_a_cluster_without_nodes_has_none_to_work_on(fleet: Fleet, body: dict[str, Any]) -> None:
    fleet.cluster("web", "10.0.0.1")
    status, problem = ask(fleet, body)
    assert (status, problem["detail"]) == (
        409,
        "the hosts of cluster web are no nodes: it has no container manager that can be reached; give it one first",
    )


def test_a_node_whose_cluster_has_lost_its_container_manager_is_not_restarted(web: Fleet, tmp_path: Path) -> None:
    web.cluster("plain")
    assert web.client.delete("/api/v0/cluster/web/hosts/10.0.0.1?force=true").status_code == 200
    assert web.client.put("/api/v0/cluster/plain/hosts/10.0.0.1").status_code == 200
    plan = web.plan(web.restart("plain"), tmp_path)
    assert plan.job is None
    assert plan.unusable["10.0.0.1"].startswith("it is node h1 of a container manager, and its cluster has none")
