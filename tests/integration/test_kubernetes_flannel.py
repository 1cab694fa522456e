"""Flannel in its modern form: the cluster's own DaemonSet brings it, with its network plugin and its configuration.

The DaemonSet is made as flannel's documents make it. Its programs lie on the machines, since there is no registry to
fetch an image from; what runs in the pods is real flannel, which has its subnets from the API server.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from k8s import programs
from k8s.cluster import NETWORK, cluster, deployment, load_image, node_variables
from k8s.container_image import NAME as IMAGE
from k8s.control_plane import PORT, RBAC_API, ControlPlane

from .flanneld import flannel_plugin
from .playbook import run_playbook

pytestmark = pytest.mark.integration

NAMESPACE = "kube-flannel"
CNI = {
    "name": "cbr0",
    "cniVersion": "0.3.1",
    "plugins": [
        {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
]
FOLDERS = {
    name: path
    for path in (
        "/usr",
        "/lib",
        "/lib64",
        "/etc/alternatives",
        "/run/flannel",
        "/opt/cni/bin",
        "/etc/cni/net.d",
        "/root/flannel",
    )
    for name in [path.strip("/").replace("/", "-").replace(".", "-")]
}


@pytest.fixture(scope="module")
def plane(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster that brings flannel, and two machines that are to be its nodes."""
    if why := programs.obstacle():
        pytest.skip(why)
    with cluster(tmp_path_factory.mktemp("cluster"), hosts=2) as made:
        for host in made.lab.hosts:
            (host.root / "root/flannel").mkdir()
            shutil.copy(flannel_plugin(), host.root / "root/flannel/flannel")
        bring_flannel(made)
        yield made


def test_nodes_are_ready_when_the_cluster_s_own_flannel_has_come(plane: ControlPlane) -> None:
    variables = node_variables(plane, "bootstrap", bootstrap_network={"type": "flannel_etcd", "options": {}})
    with ThreadPoolExecutor(1) as pool:
        bootstrap = pool.submit(run_playbook, plane.lab, "bootstrap", **variables)
        for host in plane.lab.hosts:
            while host.run(["ctr", "version"], check=False, capture_output=True).returncode and not bootstrap.done():
                time.sleep(1)
            load_image(plane, host)
        outcome = bootstrap.result(600)
    assert outcome.returncode == 0, outcome.output
    again = run_playbook(plane.lab, "bootstrap", "--limit", "h1", **variables)
    assert (again.returncode, again.changed()) == (0, []), again.output

    plane.ask("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("web", 4))
    pods = plane.until(lambda: running(plane), 90, "the pods")
    subnets = {}
    for host in plane.lab.hosts:
        node = plane.node(host.name)
        assert node is not None
        subnets[host.name] = node["spec"]["podCIDR"].rpartition(".")[0] + "."
        assert node["metadata"]["annotations"]["flannel.alpha.coreos.com/backend-type"] == "host-gw"
        assert not (host.root / "etc/cni/net.d/10-commissaire.conflist").exists()
    for pod in pods:
        assert pod["status"]["podIP"].startswith(subnets[pod["spec"]["nodeName"]])
    assert {pod["spec"]["nodeName"] for pod in pods} == subnets.keys()
    for host in plane.lab.hosts:
        for pod in pods:
            knock = ["timeout", "10", "bash", "-c", "exec 3<>/dev/tcp/$1/9", "bash", pod["status"]["podIP"]]
            answer = host.run(knock, check=False, capture_output=True, text=True).stderr
            assert "Connection refused" in answer, "nobody listens there, which the pod itself tells"


def running(plane: ControlPlane) -> list[dict[str, Any]]:
    """Return the pods once all of them run."""
    pods = plane.pods("app=web")
    return pods if len(pods) == 4 and all(pod["status"].get("podIP") for pod in pods) else []


def bring_flannel(plane: ControlPlane) -> None:
    """Make what flannel's documents have: an account and its rights, the configuration, the DaemonSet."""
    account = {"metadata": {"name": "flannel"}}
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    plane.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)
    plane.ask("POST", f"{RBAC_API}/clusterroles", {**account, "rules": RULES})
    subject = {"kind": "ServiceAccount", "name": "flannel", "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "flannel"}
    plane.ask("POST", f"{RBAC_API}/clusterrolebindings", {**account, "subjects": [subject], "roleRef": role})
    data = {"cni-conf.json": json.dumps(CNI), "net-conf.json": json.dumps(NETWORK)}
    body = {"metadata": {"name": "kube-flannel-cfg"}, "data": data}
    plane.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)
    plane.ask("POST", f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets", daemon_set(plane))


def daemon_set(plane: ControlPlane) -> dict[str, Any]:
    mounts = [{"name": name, "mountPath": path} for name, path in FOLDERS.items()]
    mounts.append({"name": "flannel-cfg", "mountPath": "/etc/kube-flannel"})
    volumes: list[dict[str, Any]] = [
        {"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}} for name, path in FOLDERS.items()
    ]
    volumes.append({"name": "flannel-cfg", "configMap": {"name": "kube-flannel-cfg"}})
    fields = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}
    environment = [
        {"name": "PATH", "value": "/usr/sbin:/usr/bin"},
        {"name": "KUBERNETES_SERVICE_HOST", "value": plane.lab.gateway},  # there is no kube-proxy here
        {"name": "KUBERNETES_SERVICE_PORT", "value": str(PORT)},
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
    ]

    def container(name: str, *command: str) -> dict[str, Any]:
        return {
            "name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": [*command], "env": environment,
            "securityContext": {"privileged": True}, "volumeMounts": mounts,
        }  # fmt: skip

    copy = ("/usr/bin/cp", "-f")
    labels = {"app": "flannel"}
    spec = {
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "serviceAccountName": "flannel",
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        "initContainers": [
            container("install-cni-plugin", *copy, "/root/flannel/flannel", "/opt/cni/bin/flannel"),
            container("install-cni", *copy, "/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"),
        ],
        "containers": [container("kube-flannel", "/usr/local/bin/flanneld", "--ip-masq", "--kube-subnet-mgr")],
        "volumes": volumes,
    }
    return {
        "metadata": {"name": "kube-flannel-ds"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
