"""A control plane with machines that are to become its nodes: what a bare Debian machine has, and nothing else."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from integration.flanneld import flanneld
from lab import Lab, LabHost

from . import packages
from .container_image import NAME as IMAGE
from .control_plane import PODS, ControlPlane

PACKAGES_PORT = 8085
NETWORK = {"Network": PODS, "Backend": {"Type": "host-gw"}}


@contextmanager
def cluster(folder: Path, hosts: int) -> Iterator[ControlPlane]:
    """Make a lab of bare machines and a control plane in it; packages come from a repository in the lab."""
    with Lab.make(hosts=hosts, containers=True, disk_mb=2048) as lab, ControlPlane(lab, folder) as plane:
        pair = {"key": "/coreos.com/network/config", "value": json.dumps(NETWORK)}
        body = {name: base64.b64encode(text.encode()).decode() for name, text in pair.items()}
        assert lab.inside(httpx.post, f"{plane.etcd}/v3/kv/put", json=body, trust_env=False).is_success
        with _served(lab, _repository(folder)) as url:
            for host in lab.hosts:
                (host.root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] {url} ./\n")
                shutil.copy(flanneld(), host.root / "usr/local/bin/flanneld")
            packages.image_archive(folder)
            yield plane


ROLES = {
    "bootstrap": "commissaire-bootstrap",
    "kubelet_upgrade": "commissaire-rolling",
    "node_leave": "commissaire-leave",
    "restart": "commissaire-rolling",
}
"""Each playbook runs with the rights that it is documented to need, and no others."""


def node_variables(plane: ControlPlane, playbook: str, **more: Any) -> dict[str, Any]:
    """Return what a playbook has to be told in a lab: whose cgroups are of version 1, and which fetches nothing."""
    return {
        "kubeconfig": str(plane.account(ROLES[playbook])),
        "kubernetes_node_repository": "none",
        "kubernetes_node_cgroup_driver": "cgroupfs",
        "kubernetes_node_pause_image": IMAGE,
        "kubernetes_node_kubelet_configuration": {"failCgroupV1": False},
        "bootstrap_network": {"type": "flannel_etcd", "options": {"server_url": plane.etcd}},
        **more,
    }


def load_image(plane: ControlPlane, host: LabHost) -> None:
    """Let a machine with a container runtime have the one image there is."""
    shutil.copy(plane.folder / "image.tar", host.root / "root/image.tar")
    host.run(["ctr", "--namespace", "k8s.io", "images", "import", "/root/image.tar"], capture_output=True)


def deployment(name: str, replicas: int, *arguments: str, **spec: Any) -> dict[str, Any]:
    """Return a Deployment whose pods wait until they are told to end."""
    container = {"name": "c", "image": IMAGE, "imagePullPolicy": "Never", "args": list(arguments)}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 2, "containers": [container], **spec},
            },
        },
    }


def budget(name: str, least: int) -> dict[str, Any]:
    """Return a PodDisruptionBudget for the pods of a Deployment."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": name}}},
    }


def _repository(folder: Path) -> Path:
    """Make a repository of packages; its index is apt's own kind."""
    from integration.debian import entry

    repository = folder / "repository"
    repository.mkdir()
    for package in packages.runtime():
        shutil.copy(package, repository)
    packages.kubelets(repository)
    (repository / "Packages").write_text("\n".join(entry(package) for package in sorted(repository.glob("*.deb"))))
    return repository


@contextmanager
def _served(lab: Lab, folder: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(folder))
    server = lab.inside(http.server.ThreadingHTTPServer, (lab.gateway, PACKAGES_PORT), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{lab.gateway}:{PACKAGES_PORT}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep quiet."""
