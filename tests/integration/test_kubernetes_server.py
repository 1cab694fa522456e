"""A server with a real Kubernetes behind it: its hosts become nodes, and are drained, asked for over REST.

The server's token has the rights that docs/kubernetes.md names, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commissaire.auth.entry import load
from commissaire.auth.plugin import SignIn
from commissaire.managers import kubernetes
from commissaire.settings import AuthenticationPlugin
from k8s import programs
from k8s.cluster import budget, cluster, deployment, load_image
from k8s.container_image import NAME as IMAGE
from k8s.control_plane import ControlPlane

from .controller import Controller

pytestmark = pytest.mark.integration

ROLES = ("commissaire-status", "commissaire-rolling", "commissaire-bootstrap")
NODE = {
    "repository": "none",
    "cgroup_driver": "cgroupfs",
    "pause_image": IMAGE,
    "kubelet_configuration": {"failCgroupV1": False},
    "labels": {"zone": "a"},
}
MERGE = {"Content-Type": "application/merge-patch+json"}
CANARY = "a-token-that-must-be-nowhere"


@pytest.fixture(scope="module")
def plane(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    if why := programs.obstacle():
        pytest.skip(why)
    with cluster(tmp_path_factory.mktemp("cluster"), hosts=2) as made:
        yield made


@pytest.fixture(scope="module")
def controller(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A server whose cluster `web` has two hosts, which it has made nodes."""
    with Controller(plane.lab, tmp_path_factory.mktemp("server"), "--watch-interval-seconds", "5") as made:
        options: dict[str, Any] = {
            "server_url": plane.url,
            "token": plane.token(*ROLES),
            "certificate_authority": plane.authority.path.read_text(),
            "node": NODE,
        }
        created = made.commctl("container_manager", "create", "-t", "kubernetes", "-o", json.dumps(options), "lab")
        assert created.returncode == 0, created.stderr
        assert f"It answers, and is {programs.version()}." in created.stderr
        assert "Its credentials don't suffice for leave: they may not delete nodes." in created.stderr
        network = {"type": "flannel_etcd", "options": {"server_url": plane.etcd}}
        assert made.ask("PUT", "/api/v0/network/overlay", network).status_code == 201
        made.add_hosts("web", seconds=400, network="overlay", container_manager="lab")
        for host in plane.lab.hosts:
            load_image(plane, host)
        yield made


def test_hosts_of_a_managed_cluster_become_nodes_and_are_active_then(
    plane: ControlPlane, controller: Controller
) -> None:
    shown = controller.ask("GET", "/api/v0/cluster/web").json()
    assert shown["status"] == "ok", controller.ask("GET", "/api/v1/hosts").text
    for host in plane.lab.hosts:
        node = plane.node(host.name)
        assert node is not None
        assert node["metadata"]["labels"]["zone"] == "a"
        status = controller.ask("GET", f"/api/v0/host/{host.address}/status").json()
        assert (status["type"], status["host"]["status"]) == ("kubernetes", "active")
        told = status["container_manager"]
        assert (told["name"], told["ready"], told["unschedulable"]) == (host.name, True, False)
        assert told["kubelet_version"] == programs.version()
        assert told["conditions"]["Ready"] == "True"
        shown = controller.ask("GET", f"/api/v1/hosts/{host.address}/node").json()
        assert shown == {**told, "cordoned_by": None}


def test_the_nodes_are_listed_page_by_page(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    options = _manager(plane, plane.token("commissaire-status"))["options"]
    monkeypatch.setattr(kubernetes, "_PAGE", 1)
    nodes = plane.lab.inside(kubernetes.list_nodes, options)
    assert [(node.name, node.ready, node.cordoned) for node in nodes] == [("h1", True, False), ("h2", True, False)]
    assert [host.address in node.addresses for host, node in zip(plane.lab.hosts, nodes, strict=True)] == [True, True]


def test_a_cordon_of_ours_is_shown_and_taken_back_and_one_of_somebody_else_is_not(
    plane: ControlPlane, controller: Controller
) -> None:
    cordon = {"operation_id": "7-night", "owner": "ann", "token": 3}
    annotated = {
        "metadata": {"annotations": {kubernetes.CORDONED: json.dumps(cordon)}},
        "spec": {"unschedulable": True},
    }
    host = f"/api/v1/hosts/{plane.lab.hosts[0].address}"
    try:
        plane.ask("PATCH", f"/api/v1/nodes/h1?fieldManager={kubernetes.MANAGER}", annotated, headers=MERGE)
        shown = controller.ask("GET", f"{host}/node").json()
        assert (shown["unschedulable"], shown["cordoned_by"]) == (True, {"operation_id": "7-night", "owner": "ann"})
        refused = controller.commctl("host", "uncordon", plane.lab.hosts[0].address)
        assert refused.returncode == 2
        assert "it is cordoned for ann, and nobody here knows that this has ended; force it if it has" in refused.stderr
        forced = controller.commctl("host", "uncordon", "--force", plane.lab.hosts[0].address)
        assert forced.returncode == 0, forced.stderr
        assert not controller.ask("GET", f"{host}/node").json()["unschedulable"]

        plane.ask("PATCH", f"/api/v1/nodes/h1?fieldManager={kubernetes.MANAGER}", annotated, headers=MERGE)
        for unschedulable in (None, True):
            plane.ask("PATCH", "/api/v1/nodes/h1", {"spec": {"unschedulable": unschedulable}}, headers=MERGE)
        shown = controller.ask("GET", f"{host}/node").json()
        assert (shown["unschedulable"], shown["cordoned_by"]) == (True, None), "somebody else cordoned it since"
        theirs = controller.ask("POST", f"{host}/uncordon?force=true")
        assert (theirs.status_code, "cordoned by somebody else" in theirs.text) == (409, True)
    finally:
        nothing = {"metadata": {"annotations": {kubernetes.CORDONED: None}}, "spec": {"unschedulable": None}}
        plane.ask("PATCH", "/api/v1/nodes/h1", nothing, headers=MERGE)


def test_a_restart_over_rest_drains_the_nodes_and_records_what_was_evicted(
    plane: ControlPlane, controller: Controller
) -> None:
    plane.ask("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget("web", 1))
    plane.ask("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("web", 2))
    path = "/apis/apps/v1/namespaces/default/deployments/web"
    plane.until(lambda: plane.ask("GET", path)["status"].get("availableReplicas") == 2, 60, "two replicas")
    before = {host.address: host.boot_id() for host in plane.lab.hosts}
    operation = controller.restart("web")
    ended = controller.ended(operation)
    assert ended["state"] == "finished", ended
    rows = controller.hosts_of(operation)
    assert {row["data"]["node"] for row in rows.values()} == {"h1", "h2"}
    evicted = [pod for row in rows.values() for pod in row["data"]["evicted"]]
    assert len(evicted) >= 2
    assert all(pod.startswith("default/web-") for pod in evicted)
    for host in plane.lab.hosts:
        assert host.boot_id() != before[host.address]
        node = plane.node(host.name)
        assert node is not None
        assert not node["spec"].get("unschedulable")


def test_the_token_is_nowhere_on_disk_while_a_playbook_uses_it(plane: ControlPlane, controller: Controller) -> None:
    token = plane.token(*ROLES)  # another one of the same account; the recorded one can't be read back
    assert controller.ask("PUT", "/api/v0/containermanager/lab2", _manager(plane, token)).status_code == 201
    assert controller.ask("PUT", "/api/v0/cluster/web", _of("lab2")).status_code == 201
    operation = controller.restart("web")
    controller.until(controller.phase(operation, plane.lab.hosts[0].address, "rebooting", "verifying"), 60, "the work")
    found = [path for path in controller.data_dir.rglob("*") if path.is_file() and token.encode() in _content(path)]
    assert controller.ended(operation)["state"] == "finished"
    assert found == []
    assert token not in controller.log.read_text()
    assert controller.ask("PUT", "/api/v0/cluster/web", _of("lab")).status_code == 201


def test_an_expired_token_fails_the_host_before_anything_is_done_to_it(
    plane: ControlPlane, controller: Controller
) -> None:
    assert controller.ask("PUT", "/api/v0/containermanager/old", _manager(plane, CANARY)).status_code == 201
    finding = controller.ask("GET", "/api/v1/container-managers/old/finding").json()
    assert (finding["reachable"], "refuses: 401" in finding["error"]) == (False, True), finding
    assert controller.ask("PUT", "/api/v0/cluster/web", _of("old")).status_code == 201
    boots = [len(host.boots()) for host in plane.lab.hosts]
    operation = controller.restart("web")
    assert controller.ended(operation)["state"] == "failed"
    first = controller.hosts_of(operation)[plane.lab.hosts[0].address]
    assert first["phase"] == "draining"
    assert "the credentials are not taken, perhaps because they have expired" in first["message"]
    assert [len(host.boots()) for host in plane.lab.hosts] == boots
    assert CANARY not in json.dumps(controller.ask("GET", f"{operation}/events").json())
    assert controller.ask("PUT", "/api/v0/cluster/web", _of("lab")).status_code == 201


def test_a_node_that_vanishes_is_missed_and_known_again_when_its_kubelet_brings_it_back(
    plane: ControlPlane, controller: Controller
) -> None:
    host = plane.lab.hosts[0]

    def shown() -> tuple[str, str, str]:
        told = controller.ask("GET", f"/api/v1/hosts/{host.address}").json()
        return told["node_name"], told["status"], told["message"]

    controller.until(lambda: shown() == (host.name, "active", ""), 60, "the host to recover")
    plane.ask("DELETE", f"/api/v1/nodes/{host.name}")
    controller.until(lambda: shown()[1] != "active", 60, "the node to be missed")
    assert shown()[:2] == ("", "disassociated")
    assert shown()[2].startswith(f"node: its node {host.name} is gone from container manager lab; bootstrap")
    assert 'commissaire_nodes{container_manager="lab",state="ready"} 1.0' in controller.ask("GET", "/metrics").text
    host.run(["systemctl", "restart", "kubelet"], capture_output=True)
    controller.until(lambda: shown() == (host.name, "active", ""), 60, "the node to be back")


def test_a_host_leaves_by_an_operation_before_it_goes_and_is_a_node_again_when_it_joins(
    plane: ControlPlane, controller: Controller
) -> None:
    host = plane.lab.hosts[1]
    membership = f"/api/v0/cluster/web/hosts/{host.address}"
    manager = _manager(plane, plane.token(*ROLES, "commissaire-leave"))
    assert controller.ask("PUT", "/api/v0/containermanager/all", manager).status_code == 201
    assert controller.ask("PUT", "/api/v0/cluster/web", _of("all")).status_code == 201
    refused = controller.commctl("host", "unjoin", host.address, "web")
    assert refused.returncode == 2
    assert f"is node {host.name} of container manager all; let it leave first" in refused.stderr

    left = controller.commctl("cluster", "node-leave", "start", "web", host.address, "--watch")
    assert left.returncode == 0, left.stdout + left.stderr
    assert plane.node(host.name) is None
    assert controller.ask("GET", f"/api/v1/hosts/{host.address}").json()["status"] == "disassociated"
    assert controller.ask("DELETE", membership).status_code == 200

    assert controller.ask("PUT", membership).status_code == 200
    path = f"/api/v0/host/{host.address}"
    controller.until(lambda: controller.ask("GET", path).json()["status"] == "active", 300, "the host to be a node")
    node = plane.node(host.name)
    assert node is not None


def test_kubelets_are_upgraded_by_an_operation(plane: ControlPlane, controller: Controller) -> None:
    newest = programs.version().removeprefix("v")
    done = controller.commctl("cluster", "kubelet-upgrade", "start", "web", newest, "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(controller.commctl("cluster", "kubelet-upgrade", "status", "web", "-o", "json").stdout)
    assert (shown["state"], shown["parameters"]["kubernetes_version"]) == ("finished", newest)
    rows = controller.hosts_of(f"/api/v1/operations/{shown['id']}")
    assert {row["data"]["kubelet_after"] for row in rows.values()} == {newest}


def test_people_sign_in_with_the_cluster_s_tokens_by_a_token_review(plane: ControlPlane) -> None:
    options = {
        "server_url": plane.url,
        "token": plane.token("commissaire-authentication"),
        "certificate_authority": str(plane.authority.path),
    }
    (entry,) = load([AuthenticationPlugin.model_validate({"name": "kubernetes", **options})])

    def identify(token: str) -> Any:
        return plane.lab.inside(entry.identify, SignIn({"authorization": f"Bearer {token}"}))

    found = identify(plane.token("commissaire-status"))
    assert found is not None
    assert found.name == "system:serviceaccount:default:commissaire-status"
    assert identify("nonsense") is None


def _manager(plane: ControlPlane, token: str) -> dict[str, Any]:
    authority = plane.authority.path.read_text()
    return {
        "type": "kubernetes",
        "options": {"server_url": plane.url, "token": token, "certificate_authority": authority, "node": NODE},
    }


def _of(manager: str) -> dict[str, str]:
    return {"network": "overlay", "container_manager": manager}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # gone since it was listed
        return b""
