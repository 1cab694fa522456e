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
    with Controller(plane.lab, tmp_path_factory.mktemp("server")) as made:
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
