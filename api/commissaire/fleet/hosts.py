"""Hosts: adding, finding and forgetting them. The rules, on a session that the caller commits."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from commissaire.fleet.clusters import check_no_node, get_cluster
from commissaire.fleet.errors import Conflict, NotFound
from commissaire.fleet.keys import SSH_KEY_FIELD, secret_owner
from commissaire.fleet.labels import read_selector
from commissaire.records import (
    Cluster,
    Host,
    Operation,
    OperationHost,
    OperationHostState,
    OperationKind,
    OperationState,
)
from commissaire.records.batches import batched
from commissaire.secrets.store import SecretStore


@dataclass(frozen=True)
class HostRequest:
    """What a client says of a host; checked already. `ssh_priv_key` is base64, None is as good as none.

    Without a `remote_user` a new host gets root, and one that is recorded keeps its own.
    """

    address: str
    ssh_priv_key: str | None
    remote_user: str | None
    cluster: str | None
    source: str
    host_key: str | None


def get_host(session: Session, address: str) -> Host:
    """Return a host.

    Raises:
        NotFound: there is none of that address.
    """
    host = session.exec(select(Host).where(Host.address == address)).first()
    if host is None:
        raise NotFound(f"there is no host {address}")
    return host


def hosts_at(session: Session, addresses: list[str]) -> dict[str, Host]:
    """Return the hosts at *addresses*, by address; those that are not recorded are left out."""
    found: dict[str, Host] = {}
    for some in batched(addresses):
        for host in session.exec(select(Host).where(col(Host.address).in_(some))):
            found[host.address] = host
    return found


def list_hosts(
    session: Session,
    *,
    cluster_id: int | None = None,
    status: str | None = None,
    labels: Sequence[str] = (),
    after: str = "",
    limit: int = 100,
) -> list[Host]:
    """Return hosts that match every filter given, by address; *after* is an address, *labels* are `key=value` or `key`.

    Raises:
        Invalid: something else is given for a label.
    """
    query = select(Host).where(col(Host.address) > after)
    if cluster_id is not None:
        query = query.where(Host.cluster_id == cluster_id)
    if status is not None:
        query = query.where(Host.status == status)
    for key, value in map(read_selector, labels):
        label = col(Host.labels)[key].as_string()
        query = query.where(label.is_not(None) if value is None else label == value)
    return list(session.exec(query.order_by(col(Host.address)).limit(limit)))


def find_same(session: Session, store: SecretStore, wanted: HostRequest) -> Host | None:
    """Return the host as it is recorded where *wanted* changes nothing of it; None where `put_host` has work to do.

    Raises:
        Conflict: as `put_host`.
    """
    host = hosts_at(session, [wanted.address]).get(wanted.address)
    if host is None or wanted.source not in ("", host.source):
        return None
    _check_same(session, store, host, wanted, _cluster(session, wanted.cluster))
    return host


def put_host(session: Session, store: SecretStore, wanted: HostRequest) -> tuple[Host, bool]:
    """Record a host; return it and whether it is new. The same request again changes nothing; another source does.

    Raises:
        Conflict: it is recorded with another key, user or cluster, or the cluster does not exist.
    """
    cluster = _cluster(session, wanted.cluster)
    host = session.exec(select(Host).where(Host.address == wanted.address)).first()
    if host is not None:
        _check_same(session, store, host, wanted, cluster)
        if wanted.source not in ("", host.source):
            host.source, host.source_seen_at = wanted.source, None
            session.add(host)
        return host, False
    host = Host(
        address=wanted.address,
        remote_user=wanted.remote_user or "root",
        cluster_id=cluster.id if cluster else None,
        source=wanted.source,
        host_key=wanted.host_key,
    )
    session.add(host)
    session.flush()
    if wanted.ssh_priv_key is not None:
        store.put(session, secret_owner(host), SSH_KEY_FIELD, wanted.ssh_priv_key)
    return host, True


def delete_host(session: Session, store: SecretStore, address: str, *, force: bool = False) -> None:
    """Forget a host, its key and its membership.

    Raises:
        NotFound: there is none of that address.
        Conflict: an operation works on it right now, or it is still a node, and it is not forced.
    """
    host = get_host(session, address)
    check_idle(session, address)
    if not force:
        check_no_node(session, host)
    store.forget(session, secret_owner(host))
    session.delete(host)


def check_idle(session: Session, address: str) -> None:
    """See that no operation but a bootstrap works on a host right now.

    Raises:
        Conflict: one does.
    """
    busy = session.exec(
        select(Operation)
        .join(OperationHost, col(OperationHost.operation_id) == col(Operation.id))
        .where(OperationHost.address == address)
        .where(col(OperationHost.state).in_((OperationHostState.PENDING, OperationHostState.RUNNING)))
        .where(Operation.state == OperationState.RUNNING, Operation.kind != OperationKind.BOOTSTRAP)
    ).first()
    if busy is not None:
        raise Conflict(f"operation {busy.id} ({busy.kind}) works on host {address}; cancel it or wait for its end")


def pin_host_keys(session: Session, known_hosts: list[str]) -> None:
    """Pin the keys that ssh accepted at its first contact with a host; a host that is pinned already keeps its key."""
    found: dict[str, list[str]] = {}
    for line in known_hosts:
        address, _, key = line.partition(" ")
        found.setdefault(address, []).append(key)
    for address, keys in found.items():
        host = session.exec(select(Host).where(Host.address == address)).first()
        if host is not None and host.host_key is None:
            host.host_key = "\n".join(keys)
            session.add(host)


def _cluster(session: Session, name: str | None) -> Cluster | None:
    if not name:
        return None
    try:
        return get_cluster(session, name)
    except NotFound as error:
        raise Conflict(f"there is no cluster {name}; create it first, or leave it out") from error


def _check_same(session: Session, store: SecretStore, host: Host, wanted: HostRequest, cluster: Cluster | None) -> None:
    recorded = store.get(session, secret_owner(host), SSH_KEY_FIELD) or ""
    if not hmac.compare_digest(recorded.encode(), (wanted.ssh_priv_key or "").encode()):
        raise Conflict(
            f"host {host.address} is recorded with another ssh_priv_key; delete it first to give it a new one"
        )
    if wanted.remote_user not in (None, host.remote_user):
        raise Conflict(
            f"host {host.address} is recorded with remote_user {host.remote_user}; delete it first to give it another"
        )
    if cluster is not None and host.cluster_id != cluster.id:
        raise Conflict(
            f"host {host.address} is recorded and not in cluster {cluster.name}; join it to the cluster instead"
        )
    if wanted.host_key is not None and wanted.host_key not in (host.host_key or "").splitlines():
        raise Conflict(
            f"host {host.address} is pinned to another host key; "
            f"accept this one with PUT /api/v1/hosts/{host.address}/host-key or commctl host accept-key"
        )
