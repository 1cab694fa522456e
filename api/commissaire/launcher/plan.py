"""The plan of one attempt at an operation: which hosts are left, within which limits, and the job that does it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from commissaire.fleet import keys
from commissaire.fleet.limits import DEFAULT_MAX_FAILURES, DEFAULT_MAX_UNAVAILABLE, Limits, resolve
from commissaire.launcher.job import Job, PrivateKey
from commissaire.launcher.kinds import KINDS
from commissaire.records import Cluster, Host, Network, Operation, OperationHost, OperationHostState
from commissaire.secrets.backend import Opened
from commissaire.secrets.errors import SecretError, StoreUnavailable
from commissaire.secrets.store import SecretStore

_AWAY_PHASES = ("upgrading", "rebooting", "verifying")
_OPEN = (OperationHostState.PENDING, OperationHostState.RUNNING)


@dataclass(frozen=True)
class Plan:
    """A job for the hosts that can be worked on, and why the others can't. `job` is None when nothing is left to do."""

    job: Job | None
    unusable: dict[str, str]
    message: str = ""


def limits_left(operation: Operation, hosts: list[OperationHost]) -> Limits:
    """Subtract from the limits that were asked for what earlier attempts have used up.

    A host that failed while it was away keeps its place: it is still out of service.
    """
    failed = [host for host in hosts if host.state == OperationHostState.FAILED]
    away = [host for host in failed if host.phase in _AWAY_PHASES]
    unavailable = operation.parameters.get("max_unavailable", DEFAULT_MAX_UNAVAILABLE)
    failures = operation.parameters.get("max_failures", DEFAULT_MAX_FAILURES)
    return Limits(
        max_unavailable=resolve(unavailable, len(hosts), least=1) - len(away),
        max_failures=resolve(failures, len(hosts), least=0) - len(failed),
    )


def make_plan(session: Session, store: SecretStore, operation: Operation, directory: Path, runtime: Path) -> Plan:
    """Plan the next attempt at *operation*. Hosts that were interrupted come first, hosts that are done not at all."""
    rows = session.exec(
        select(OperationHost).where(OperationHost.operation_id == operation.id).order_by(col(OperationHost.position))
    ).all()
    left = sorted((row for row in rows if row.state in _OPEN), key=lambda row: row.state != OperationHostState.RUNNING)
    limits = limits_left(operation, list(rows))
    if left and limits.max_failures < 0:
        return Plan(None, {}, "more hosts failed than max_failures allows")
    if left and limits.max_unavailable < 1:
        return Plan(None, {}, "hosts that failed are out of service and hold every place of max_unavailable")
    try:
        return _plan_for(session, store, operation, left, limits, directory, runtime)
    except StoreUnavailable as error:
        return Plan(None, {}, str(error))


def _plan_for(
    session: Session,
    store: SecretStore,
    operation: Operation,
    rows: list[OperationHost],
    limits: Limits,
    directory: Path,
    runtime: Path,
) -> Plan:
    kind = KINDS[operation.kind]
    hosts = _hosts(session, [row.address for row in rows])
    owners = [keys.secret_owner(host) for host, _ in hosts.values()]
    encoded = store.get_many(session, owners, keys.SSH_KEY_FIELD)
    unusable: dict[str, str] = {}
    inventory: dict[str, Any] = {}
    private_keys: dict[str, PrivateKey] = {}
    pinned: list[str] = []
    for row in rows:
        address = row.address
        if address not in hosts:
            unusable[address] = "the host was deleted before its turn"
            continue
        host, cluster = hosts[address]
        try:
            key = _key(encoded.get(keys.secret_owner(host)))
        except (keys.UnusableKey, SecretError) as error:
            unusable[address] = str(error)
            continue
        private_keys[key.name] = key
        inventory[address] = _host_vars(host, cluster[0].name if cluster else "", directory / f"{key.name}.pub")
        if cluster:
            inventory[address].update(kind.host_vars(*cluster))
        if row.state == OperationHostState.RUNNING:
            inventory[address].update(kind.interrupted_vars(operation))
        if host.host_key:
            pinned.extend(f"{address} {line}" for line in host.host_key.splitlines())
    job = Job(
        operation_id=operation.id or 0,
        playbook=kind.playbook,
        directory=str(directory),
        runtime_directory=str(runtime),
        inventory={"all": {"hosts": inventory, "vars": _common_vars(directory)}},
        extra_vars=kind.extra_vars(operation, limits),
        known_hosts="".join(f"{line}\n" for line in pinned),
        keys=list(private_keys.values()),
        forks=kind.forks(limits),
    )
    return Plan(job if inventory else None, unusable)


def _hosts(session: Session, addresses: list[str]) -> dict[str, tuple[Host, tuple[Cluster, Network] | None]]:
    """Return hosts by address, each with its cluster and that one's network."""
    found: dict[str, tuple[Host, tuple[Cluster, Network] | None]] = {}
    pairs = session.exec(select(Cluster, Network).where(Cluster.network == Network.name)).all()
    clusters = {cluster.id: (cluster, network) for cluster, network in pairs}
    for start in range(0, len(addresses), 500):
        some = addresses[start : start + 500]
        for host in session.exec(select(Host).where(col(Host.address).in_(some))):
            found[host.address] = (host, clusters.get(host.cluster_id))
    return found


def _key(encoded: Opened | None) -> PrivateKey:
    if isinstance(encoded, SecretError):
        raise encoded
    if not encoded:
        raise keys.UnusableKey("no ssh_priv_key is recorded for it; PUT the host with one")
    private = keys.private_text(encoded)
    return PrivateKey(name=keys.fingerprint(private), private=private, public=keys.public_text(private))


def _common_vars(directory: Path) -> dict[str, Any]:
    options = {
        "ControlMaster": "auto",
        "ControlPersist": "60s",
        "GlobalKnownHostsFile": "none",
        "HashKnownHosts": "no",
        "IdentitiesOnly": "yes",
        "PreferredAuthentications": "publickey",
        "ServerAliveCountMax": "3",
        "ServerAliveInterval": "10",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": f'"{directory / "known_hosts"}"',
    }
    return {
        "ansible_ssh_args": shlex.join(f"-o{name}={value}" for name, value in options.items()),
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=yes",
        "ansible_python_interpreter": "auto_silent",
    }


def _host_vars(host: Host, cluster: str, public_key: Path) -> dict[str, Any]:
    variables: dict[str, Any] = {
        "ansible_host": host.address,
        "ansible_user": host.remote_user,
        "ansible_ssh_private_key_file": str(public_key),
        "commissaire_cluster": cluster,
    }
    if host.remote_user != "root":
        variables["ansible_become"] = True
    if not host.host_key:
        variables["ansible_ssh_common_args"] = "-o StrictHostKeyChecking=accept-new"
    return variables
