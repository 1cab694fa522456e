"""Container managers: the Kubernetes or OpenShift that hosts are nodes of. The rules, on a session the caller commits.

Options that are secret lie in the secret store; in the record, and so in every answer, they are `MASK`.
"""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, select

from commissaire.fleet.errors import Conflict, Invalid, NotFound
from commissaire.managers.kubeconfig import read_kubeconfig
from commissaire.records import Cluster, ContainerManager, ContainerManagerType, Host
from commissaire.secrets.store import SecretStore

MASK = "********"
NODE_OPTIONS = {
    "certificate_seconds": int,
    "cgroup_driver": str,
    "kubelet_configuration": dict,
    "labels": dict,
    "pause_image": str,
    "ready_timeout_seconds": int,
    "repository": str,
    "taints": list,
    "version": str,
}
"""What the option `node` may say of the nodes to be; each is the variable of the role kubernetes_node of that name."""
SECRET_OPTIONS = ("token", "password", "client_key", "kubeconfig")
_URL_OPTIONS = ("server_url", "apiserver")
_CERTIFICATE_OPTIONS = ("certificate_path", "certificate_key_path", "certificate_authority", "client_certificate")


def get_container_manager(session: Session, name: str) -> ContainerManager:
    """Return a container manager.

    Raises:
        NotFound: there is none of that name.
    """
    manager = session.get(ContainerManager, name)
    if manager is None:
        raise NotFound(f"there is no container manager {name}")
    return manager


def list_names(session: Session) -> list[str]:
    """Return all container managers' names, sorted."""
    return list(session.exec(select(ContainerManager.name).order_by(col(ContainerManager.name))))


def revealed_options(session: Session, store: SecretStore, manager: ContainerManager) -> dict[str, Any]:
    """Return the options of *manager*, its secrets in clear."""
    secret = {key: store.get(session, _owner(manager.name), key) for key in SECRET_OPTIONS if key in manager.options}
    return {**manager.options, **secret}


def registers_nodes(manager: ContainerManager) -> bool:
    """Return whether hosts are nodes of *manager*: a trivial one has none, nor has one that nobody can reach."""
    known = any(manager.options.get(key) for key in (*_URL_OPTIONS, "kubeconfig"))
    return manager.type != ContainerManagerType.TRIVIAL and known


def has_nodes(session: Session, cluster: Cluster) -> bool:
    """Return whether the hosts of *cluster* are, or are to be, nodes of a container manager."""
    manager = session.get(ContainerManager, cluster.container_manager) if cluster.container_manager else None
    return manager is not None and registers_nodes(manager)


def manager_of(session: Session, host: Host) -> ContainerManager | None:
    """Return the container manager of a host's cluster; None when there is none."""
    cluster = session.get(Cluster, host.cluster_id) if host.cluster_id is not None else None
    return session.get(ContainerManager, cluster.container_manager) if cluster and cluster.container_manager else None


def put_container_manager(
    session: Session, store: SecretStore, name: str, kind: str, options: dict[str, Any]
) -> ContainerManager:
    """Record a container manager. The same request again changes nothing; `MASK` stands for the secret there is.

    Raises:
        Invalid: the type is unknown, or the options can't be used.
        Conflict: a container manager of that name has another type or other options.
    """
    check_container_manager(kind, options)
    secrets = {key: value for key, value in options.items() if key in SECRET_OPTIONS}
    shown = {key: MASK if key in secrets else value for key, value in options.items()}
    manager = session.get(ContainerManager, name)
    if manager is not None:
        same = (manager.type, manager.options) == (kind, shown)
        if not same or not all(_is_recorded(session, store, name, *secret) for secret in secrets.items()):
            raise Conflict(
                f"container manager {name} is recorded with another type or other options; delete it first to change it"
            )
        return manager
    if MASK in secrets.values():
        raise Invalid(f"{MASK} is what answers show in place of a secret; give the secret itself")
    manager = ContainerManager(name=name, type=kind, options=shown)
    session.add(manager)
    for key, value in secrets.items():
        store.put(session, _owner(name), key, value)
    return manager


def delete_container_manager(session: Session, store: SecretStore, name: str) -> None:
    """Forget a container manager and its secrets; nothing happens when there is none (the documents: idempotent).

    Raises:
        Conflict: a cluster uses it.
    """
    manager = session.get(ContainerManager, name)
    if manager is None:
        return
    cluster = session.exec(select(Cluster.name).where(Cluster.container_manager == name).limit(1)).first()
    if cluster is not None:
        raise Conflict(f"cluster {cluster} uses container manager {name}; give the cluster another one or none first")
    store.forget(session, _owner(name))
    session.delete(manager)


def check_container_manager(kind: str, options: dict[str, Any]) -> None:
    """See that *options* fit a container manager of type *kind*; what nobody knows may stand there.

    Raises:
        Invalid: they don't, or there is no such type.
    """
    if kind not in list(ContainerManagerType):
        raise Invalid(f"there is no container manager type {kind!r}; there are {', '.join(ContainerManagerType)}")
    for key in (*_URL_OPTIONS, *SECRET_OPTIONS, *_CERTIFICATE_OPTIONS):
        if key in options and not (isinstance(options[key], str) and options[key]):
            raise Invalid(f"option {key} must be a string that is not empty")
    for key in _URL_OPTIONS:
        if key in options and "@" in options[key]:
            raise Invalid(f"option {key} is shown to everybody who may read; user and password don't belong there")
        if key in options and not _is_url(options[key]):
            raise Invalid(f"option {key} must be a URL such as https://HOST:6443, not {options[key]!r}")
    node = options.get("node", {})
    if not isinstance(node, dict):
        raise Invalid("option node must be an object that says how nodes are set up")
    for key, value in node.items():
        if not isinstance(value, NODE_OPTIONS.get(key, ())) or isinstance(value, bool):
            known = ", ".join(f"{name} ({kind.__name__})" for name, kind in NODE_OPTIONS.items())
            raise Invalid(f"option node.{key} is none of those there are, or of another type: {known}")
    for one, other in (("certificate_path", "certificate_key_path"), ("client_certificate", "client_key")):
        if (one in options) != (other in options):
            raise Invalid(f"options {one} and {other} belong together; give both, or a token")
    if options.get("kubeconfig", MASK) != MASK:
        try:
            read_kubeconfig(options["kubeconfig"])
        except ValueError as error:
            raise Invalid(f"option kubeconfig {error}") from error


def _is_recorded(session: Session, store: SecretStore, name: str, key: str, value: str) -> bool:
    recorded = store.get(session, _owner(name), key) or ""
    return value == MASK or hmac.compare_digest(recorded.encode(), value.encode())


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _owner(name: str) -> str:
    return f"container_manager/{name}"
