"""Kubernetes and OpenShift, by the official client; it is imported when it is needed, for that takes over a second."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_TIMEOUT_SECONDS = (3, 10)
_importing = threading.Lock()
_turns = threading.BoundedSemaphore(8)
"""Who asks holds a thread, and the routes have 40: a manager that hangs must not take them all."""


class ManagerError(Exception):
    """A container manager that can't be asked; the message says which, why and what to do."""


def node_status(options: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the manager says of the node *name*; see `_describe`.

    *options* are those of the container manager's record, its secrets in clear.

    Raises:
        ManagerError: it can't be reached, refuses, or has no such node.
    """
    with _importing:
        from kubernetes.client import CoreV1Api
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError
    server = server_url(options)
    if not _turns.acquire(blocking=False):
        raise ManagerError(f"{server} is not asked just now: container managers keep many waiting; try again")
    try:
        with connect(options) as client:
            return _describe(CoreV1Api(client).read_node(name, _request_timeout=_TIMEOUT_SECONDS).to_dict())
    except ApiException as error:
        if error.status == 404:
            raise ManagerError(f"{server} has no node {name}; the host has not registered there") from error
        raise ManagerError(f"{server} refuses to show node {name}: {error.status} {error.reason}") from error
    except (HTTPError, OSError, ValueError) as error:
        raise ManagerError(f"{server} can't be asked: {error}") from error
    finally:
        _turns.release()


def connect(options: dict[str, Any]) -> ApiClient:
    """Return a client for a container manager's *options*; TLS is verified, by `certificate_authority` if given.

    Raises:
        ManagerError: the options say of no server.
        OSError, ValueError: a certificate can't be read.
    """
    from kubernetes.client import ApiClient, Configuration

    configuration = Configuration(host=server_url(options), retries=False)
    configuration.ssl_ca_cert = options.get("certificate_authority")
    if options.get("token"):
        configuration.api_key = {"authorization": f"Bearer {options['token']}"}
    else:
        configuration.cert_file, configuration.key_file = (
            options.get("certificate_path"),
            options.get("certificate_key_path"),
        )
    return ApiClient(configuration)


def server_url(options: dict[str, Any]) -> str:
    """Return where the API is; `apiserver` is how the documents' example of a record calls it.

    Raises:
        ManagerError: the options don't say.
    """
    url = options.get("server_url") or options.get("apiserver")
    if not isinstance(url, str) or not url:
        raise ManagerError("the container manager's options have no server_url; delete it, and create it with one")
    return url.rstrip("/").removesuffix("/api")


def _describe(node: dict[str, Any]) -> dict[str, Any]:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    return {
        "name": (node.get("metadata") or {}).get("name"),
        "ready": ready.get("status") == "True",
        "message": ready.get("message") or "",
        "unschedulable": bool(spec.get("unschedulable")),
        "kubelet_version": (status.get("node_info") or {}).get("kubelet_version"),
        "conditions": {kind: condition["status"] for kind, condition in conditions.items()},
    }
