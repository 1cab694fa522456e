# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a rolling play asks of a Kubernetes API server, with errors a caller can tell apart.

The official client does the talking, by a kubeconfig. It is imported when it is needed: that takes most of a second.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.commissaire.fleet.plugins.plugin_utils.drain import Pod

T = TypeVar("T")
TIMEOUT_SECONDS = (5, 30)  # to connect, and to answer
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
SHOWN_CHARACTERS = 300
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?")
"""Nothing else of a file goes to hosts: there may be a key in it, too."""
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"


class KubernetesError(Exception):
    """The API server does not do what it is asked; the message says why."""


class UnavailableError(KubernetesError):
    """It can't be reached, or is too busy just now; asking again may help."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class MissingError(KubernetesError):
    """There is no such thing."""


class ConflictError(KubernetesError):
    """It has changed since it was read."""


class BudgetError(KubernetesError):
    """A PodDisruptionBudget keeps a pod where it is, for now."""


@dataclass(frozen=True)
class NodeRow:
    """A node as `kubectl get nodes -o wide` shows it."""

    name: str
    ready: bool
    schedulable: bool
    roles: tuple[str, ...]
    address: str

    @property
    def is_control_plane(self) -> bool:
        """Whether the cluster itself runs there."""
        return bool({"control-plane", "master"}.intersection(self.roles))


class KubernetesClient:
    """A connection by a kubeconfig (a file's path), its current context or another one."""

    def __init__(self, kubeconfig: str, context: str = "") -> None:
        from kubernetes.client import CertificatesV1Api, CoreV1Api, VersionApi
        from kubernetes.config import ConfigException, new_client_from_config_dict

        if not kubeconfig:
            raise KubernetesError("kubeconfig is missing: the file that says where the cluster's API server is")
        try:
            path = Path(kubeconfig).expanduser().absolute()
            content = in_memory(yaml.safe_load(path.read_text()), path.parent)
            client = new_client_from_config_dict(content, context=context or None, persist_config=False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, ConfigException) as error:
            words = str(error).splitlines() or [type(error).__name__]  # the lines after it may show a token
            raise KubernetesError(f"kubeconfig {kubeconfig} can't be used: {words[0]}") from error
        client.configuration.retries = False
        client.rest_client = type(client.rest_client)(client.configuration)  # it was made before
        client.user_agent = "commissaire.fleet"
        self.server = str(client.configuration.host)
        self._client = client
        self._allowed: set[str] = set()
        self._core = CoreV1Api(client)
        self._certificates = CertificatesV1Api(client)
        self._version = VersionApi(client)

    @property
    def certificate_authority(self) -> str:
        """Whose certificate the server's must be signed by, as PEM; "" for those that are trusted here anyway."""
        path = self._client.configuration.ssl_ca_cert
        return "".join(CERTIFICATE.findall(Path(path).read_text())) if path else ""

    def version(self) -> str:
        """Return the API server's version, as v1.2.3."""
        return str(self._ask("tell its version", self._version.get_code)["gitVersion"])

    def nodes(self) -> list[NodeRow]:
        """Return all nodes. Of thousands of them the table is a twentieth of what the objects are."""
        self._client.set_default_header("Accept", TABLE)
        try:
            table = self._ask("list nodes", self._core.list_node)
        finally:
            del self._client.default_headers["Accept"]
        return read_table(table)

    def node(self, name: str) -> dict[str, Any]:
        """Return a node. Raise MissingError when there is none."""
        return self._ask(f"read node {name}", self._core.read_node, name)

    def patch_node(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change a node. Raise ConflictError when `body` names a resourceVersion that is not the newest."""
        return self._ask(f"change node {name}", self._core.patch_node, name, body)

    def delete_node(self, name: str, uid: str) -> None:
        """Delete a node, if it is still this very one. Raise MissingError when there is none."""
        self._ask(f"delete node {name}", self._core.delete_node, name, body={"preconditions": {"uid": uid}})

    def pods_on(self, node: str) -> list[dict[str, Any]]:
        """Return all pods of a node."""
        found = self._ask(
            f"list the pods of node {node}",
            self._core.list_pod_for_all_namespaces,
            field_selector=f"spec.nodeName={node}",
        )
        items: list[dict[str, Any]] = found["items"]
        return items

    def evict(self, pod: Pod, grace_period_seconds: int | None) -> None:
        """Ask for the eviction of a pod (Eviction API); it takes its time to end afterwards.

        Raise BudgetError while a PodDisruptionBudget forbids it, MissingError when it is gone.
        """
        options: dict[str, Any] = {"preconditions": {"uid": pod.uid}}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": options,
        }
        evict = self._core.create_namespaced_pod_eviction
        self._ask(f"evict pod {pod}", evict, pod.name, pod.namespace, body)

    def service_address(self, namespace: str, name: str) -> str:
        """Return the address of a Service inside the cluster; "" when there is no such Service."""
        try:
            service = self._ask(f"read service {name}", self._core.read_namespaced_service, name, namespace)
        except MissingError:
            return ""
        return str(service["spec"].get("clusterIP") or "")

    def request_certificate(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a CertificateSigningRequest. Raise ConflictError when there is one of that name."""
        name = body["metadata"]["name"]
        create = self._certificates.create_certificate_signing_request
        return self._ask(f"create certificate signing request {name}", create, body)

    def certificate_request(self, name: str) -> dict[str, Any]:
        """Return a CertificateSigningRequest. Raise MissingError when there is none."""
        read = self._certificates.read_certificate_signing_request
        return self._ask(f"read certificate signing request {name}", read, name)

    def approve_certificate(self, request: dict[str, Any]) -> None:
        """Approve a CertificateSigningRequest as it was read. Raise ConflictError when it has changed since."""
        name = request["metadata"]["name"]
        replace = self._certificates.replace_certificate_signing_request_approval
        self._ask(f"approve certificate signing request {name}", replace, name, request)

    def _ask(self, what: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = method(*args, **kwargs, _preload_content=False, _request_timeout=TIMEOUT_SECONDS)
            self._allowed.add(method.__name__)
            return json.loads(answer.data)
        except ApiException as error:
            if error.status in (404, 409, 422):
                self._allowed.add(method.__name__)
            if error.status == 403 and method.__name__ in self._allowed:  # it has just started, and knows no rules yet
                raise UnavailableError(f"{self.server}: {what}: not allowed any more: {error.reason}") from error
            if not error.status:  # TLS: nothing was answered
                kind = KubernetesError if "CERTIFICATE_VERIFY_FAILED" in str(error.reason) else UnavailableError
                raise kind(f"{self.server}: {what}: {error.reason}") from error
            raise refusal(f"{self.server}: {what}", error.status, error.body, error.headers) from error
        except (HTTPError, OSError) as error:
            raise UnavailableError(f"{self.server}: {what}: {error}") from error
        except ValueError as error:
            raise UnavailableError(f"{self.server}: {what}: the answer is no JSON") from error


def patiently(ask: Callable[[], T], seconds: float, wait: Callable[[str, float], None]) -> T:
    """Return what `ask` returns, asked again for so many seconds while the server is not available.

    `wait` is told why, and waits.
    """
    deadline = time.monotonic() + seconds
    pause = RETRY_SECONDS
    while True:
        try:
            return ask()
        except UnavailableError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            wait(str(error), min(max(pause, error.retry_after), LONGEST_RETRY_SECONDS, left))
            pause = min(pause * 2, LONGEST_RETRY_SECONDS)


def refusal(what: str, status: int, body: Any, headers: Any) -> KubernetesError:
    """Return what a bad answer means: the API's own words, and what to do where that can be told."""
    details: dict[str, Any] = {}
    with contextlib.suppress(ValueError, TypeError):
        found = json.loads(body)
        details = found if isinstance(found, dict) else {}
    words = str(details.get("message") or body or "")[:SHOWN_CHARACTERS]
    causes = (details.get("details") or {}).get("causes") or []
    budgets = [str(cause.get("message", "")) for cause in causes if cause.get("reason") == "DisruptionBudget"]
    if budgets:
        return BudgetError("; ".join(budgets))
    if "more than one PodDisruptionBudget" in words:
        return BudgetError(words)
    if status == 401:
        return KubernetesError(
            f"{what}: the credentials are not taken, perhaps because they have expired: give new ones"
        )
    if status == 403:
        return KubernetesError(f"{what}: not allowed: {words}")
    if status == 404:
        return MissingError(f"{what}: {words}")
    if status == 409:
        return ConflictError(f"{what}: {words}")
    if status == 429 or status >= 500:
        retry_after = str((headers or {}).get("Retry-After", ""))
        return UnavailableError(f"{what}: {status} {words}", float(retry_after) if retry_after.isdecimal() else 0)
    return KubernetesError(f"{what}: {status} {words}")


def read_table(table: dict[str, Any]) -> list[NodeRow]:
    """Read the table that the API makes of nodes. Raise KubernetesError when it is not what it was asked for."""
    columns = {column["name"]: index for index, column in enumerate(table.get("columnDefinitions") or [])}
    if not {"Name", "Status", "Roles", "Internal-IP"} <= columns.keys():
        raise KubernetesError(f"the API server makes no table of nodes that can be read, only {sorted(columns)}")
    rows = []
    for row in table.get("rows") or []:
        name, status, roles, address = (
            str(row["cells"][columns[column]]) for column in ("Name", "Status", "Roles", "Internal-IP")
        )
        told = tuple(role for role in roles.split(",") if role != "<none>")
        words = status.split(",")
        schedulable = "SchedulingDisabled" not in words
        rows.append(NodeRow(name, words[0] == "Ready", schedulable, told, "" if address == "<none>" else address))
    return rows


def in_memory(content: Any, folder: Path) -> Any:
    """Put the keys and certificates that lie in a kubeconfig into files that are on no disk; find those in `folder`.

    The official client writes them to disk, and Ansible's workers end without removing them.
    """
    if isinstance(content, list):
        return [in_memory(one, folder) for one in content]
    if not isinstance(content, dict):
        return content
    found = {}
    for name, value in content.items():
        if name in ("client-key-data", "client-certificate-data", "certificate-authority-data") and value:
            descriptor = os.memfd_create(name)
            os.write(descriptor, base64.b64decode(value))
            found[name.removesuffix("-data")] = f"/proc/self/fd/{descriptor}"
        elif name in ("client-key", "client-certificate", "certificate-authority", "tokenFile") and value:
            found.setdefault(name, str(folder / value))
        else:
            found[name] = in_memory(value, folder)
    return found
