"""Kubernetes and OpenShift, by the official client; it is imported when it is needed, for that takes over a second."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from commissaire.managers.error import ManagerError
from commissaire.managers.kubeconfig import kubeconfig_of

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

TIMEOUT_SECONDS = (3, 10)
_PAGE = 500
_importing = threading.Lock()
_turns = threading.BoundedSemaphore(8)
"""Who asks holds a thread, and the routes have 40: a manager that hangs must not take them all."""
CORDONED = "commissaire.fleet/cordoned"
"""The annotation by which the collection marks a node that it cordoned (plugin_utils/node.py)."""
MANAGER = "commissaire.fleet"
"""As what the API server knows the collection, in an object's managedFields."""
_DATA = {
    "certificate-authority": "ssl_ca_cert",
    "client-certificate": "cert_file",
    "client-key": "key_file",
}


@dataclass(frozen=True)
class SeenNode:
    """A node as a manager lists it."""

    name: str
    addresses: frozenset[str]
    ready: bool
    cordoned: bool


@contextmanager
def asking(options: dict[str, Any]) -> Iterator[ApiClient]:
    """Give a client to ask a container manager with; *options* are its record's, its secrets in clear.

    Raises:
        ManagerError: it can't be reached, or refuses; instead of whatever the client raises in the block.
    """
    with _importing:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError
    server = kubeconfig_of(options)["clusters"][0]["cluster"]["server"]
    if not _turns.acquire(blocking=False):
        raise ManagerError(f"{server} is not asked just now: container managers keep many waiting; try again")
    files: list[int] = []
    try:
        with connect(options, files) as client:
            yield client
    except ApiException as error:
        raise ManagerError(f"{server} refuses: {error.status} {error.reason}") from error
    except (HTTPError, OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        # the last three come from an answer that is none of Kubernetes'
        raise ManagerError(f"{server} can't be asked: {error}") from error
    finally:
        _turns.release()
        for descriptor in files:
            os.close(descriptor)


def node_status(options: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the manager says of the node *name*; see `_describe`.

    *options* are those of the container manager's record, its secrets in clear.

    Raises:
        ManagerError: it can't be reached, refuses, or has no such node.
    """
    with asking(options) as client:
        from kubernetes.client import CoreV1Api
        from kubernetes.client.exceptions import ApiException

        core = CoreV1Api(client)
        try:
            node = core.read_node(name, _request_timeout=TIMEOUT_SECONDS).to_dict()
            pods = core.list_pod_for_all_namespaces(
                field_selector=f"spec.nodeName={name}", _request_timeout=TIMEOUT_SECONDS
            ).to_dict()["items"]
        except ApiException as error:
            server = client.configuration.host
            if error.status == 404:
                raise ManagerError(f"{server} has no node {name}; the host has not registered there") from error
            raise ManagerError(f"{server} refuses to show node {name}: {error.status} {error.reason}") from error
    return _describe(node, [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods])


def list_nodes(options: dict[str, Any]) -> list[SeenNode]:
    """Return all nodes of a manager, read page by page; *options* as for `node_status`.

    Raises:
        ManagerError: it can't be reached, or refuses.
    """
    nodes: list[SeenNode] = []
    with asking(options) as client:
        from kubernetes.client import CoreV1Api

        ask: Any = CoreV1Api(client).list_node
        page = ""
        while True:
            more = {"_continue": page} if page else {}
            answer = ask(limit=_PAGE, **more, _preload_content=False, _request_timeout=TIMEOUT_SECONDS)
            content = orjson.loads(answer.data)
            nodes += [_seen(item) for item in content["items"]]
            page = content["metadata"].get("continue") or ""
            if not page:
                return nodes


def uncordon(options: dict[str, Any], name: str, objection: Callable[[str, str], str]) -> bool:
    """Let pods come to the node *name* again that an operation of ours cordoned; return whether it was cordoned.

    *objection* is given the `operation_id` and the owner of the cordon, and says why it must stay, or "".

    Raises:
        ManagerError: it must stay, was cordoned by somebody else, or can't be changed.
    """
    with asking(options) as client:
        from kubernetes.client import CoreV1Api

        core = CoreV1Api(client)
        node = core.read_node(name, _request_timeout=TIMEOUT_SECONDS).to_dict()
        if not node["spec"].get("unschedulable"):
            return False
        metadata, text = node["metadata"], _our_cordon(node)
        if not text:
            raise ManagerError(f"node {name} was cordoned by somebody else: kubectl uncordon {name} takes that back")
        told = orjson.loads(text)
        if why := objection(str(told["operation_id"]), str(told["owner"])):
            raise ManagerError(f"node {name} stays cordoned: {why}")
        patch = {
            "metadata": {"resourceVersion": metadata["resource_version"], "annotations": {CORDONED: None}},
            "spec": {"unschedulable": False},
        }
        core.patch_node(name, patch, _request_timeout=TIMEOUT_SECONDS)
    return True


def connect(options: dict[str, Any], files: list[int] | None = None) -> ApiClient:
    """Return a client for a container manager's *options*; TLS is verified. *files* gets what is to be closed after it.

    Raises:
        ManagerError: the options say of no server, or hold a kubeconfig that can't be used.
        OSError, ValueError: a certificate can't be read.
    """
    from kubernetes.client import ApiClient, Configuration

    content = kubeconfig_of(options)
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    configuration = Configuration(host=cluster["server"], retries=False)
    configuration.tls_server_name = cluster.get("tls-server-name")
    if user.get("token"):
        configuration.api_key = {"authorization": f"Bearer {user['token']}"}
    given = {**cluster, **user}
    for name, attribute in _DATA.items():
        if given.get(f"{name}-data"):
            text = base64.b64decode(given[f"{name}-data"])
            descriptor = os.memfd_create(name)  # a file that is on no disk, for a client that takes paths only
            (files if files is not None else []).append(descriptor)
            os.write(descriptor, text)
            setattr(configuration, attribute, f"/proc/self/fd/{descriptor}")
        elif given.get(name):
            setattr(configuration, attribute, given[name])
    return ApiClient(configuration)


def _our_cordon(node: dict[str, Any]) -> str:
    """Return what the annotation says when we cordoned a node; "" when nobody did, or somebody else."""
    metadata = node["metadata"]
    owners = {
        entry["manager"]
        for entry in metadata.get("managed_fields") or []
        if "f:unschedulable" in ((entry.get("fields_v1") or {}).get("f:spec") or {})
    }
    text = str((metadata.get("annotations") or {}).get(CORDONED, ""))
    return text if (node.get("spec") or {}).get("unschedulable") and (not owners or MANAGER in owners) else ""


def _seen(node: dict[str, Any]) -> SeenNode:
    status = node.get("status") or {}
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or [])
    addresses = frozenset(one["address"] for one in status.get("addresses") or [])
    return SeenNode(node["metadata"]["name"], addresses, ready, bool((node.get("spec") or {}).get("unschedulable")))


def _describe(node: dict[str, Any], pods: list[str]) -> dict[str, Any]:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    info = status.get("node_info") or {}
    metadata = node.get("metadata") or {}
    return {
        "name": metadata.get("name"),
        "ready": ready.get("status") == "True",
        "message": ready.get("message") or "",
        "unschedulable": bool(spec.get("unschedulable")),
        "cordoned_by": _our_cordon(node),
        "kubelet_version": info.get("kubelet_version"),
        "container_runtime_version": info.get("container_runtime_version"),
        "conditions": {kind: condition["status"] for kind, condition in conditions.items()},
        "pods": sorted(pods),
    }
