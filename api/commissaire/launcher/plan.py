"""The plan of one attempt at an operation: which hosts are left, within which limits, and the job that does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from commissaire.fleet.container_managers import registers_nodes, revealed_options
from commissaire.fleet.hosts import hosts_at
from commissaire.fleet.limits import DEFAULT_MAX_FAILURES, DEFAULT_MAX_UNAVAILABLE, Limits, resolve, resolve_canary
from commissaire.fleet.plain_text import holds_template
from commissaire.launcher.control_file import ControlFile
from commissaire.launcher.guest_plan import guest_job
from commissaire.launcher.job import KUBECONFIG, Job
from commissaire.launcher.kinds import KINDS, lease_name
from commissaire.launcher.machine_plan import machine_job
from commissaire.launcher.reach import Reach, common_vars, reach
from commissaire.managers.error import ManagerError
from commissaire.managers.kubeconfig import kubeconfig_of
from commissaire.records import (
    OF_GUESTS,
    OF_MACHINES,
    ROLLING,
    TERMINAL,
    Cluster,
    ContainerManager,
    Host,
    HostStatus,
    Operation,
    OperationHost,
    OperationHostState,
)
from commissaire.records.batches import batched
from commissaire.secrets.errors import StoreUnavailable
from commissaire.secrets.store import SecretStore

_AWAY_PHASES = ("upgrading", "rebooting", "verifying", "soaking", "rolling_back", "uncordoning")
_BEFORE_WORK = ("", "waiting", "staging", "checking")
"""Not `draining`: a node that was cordoned is out of service, and must be brought back whatever it is like now."""
_MOST_LEASES = 20
"""Of so many operations a host's lease is taken over: those before them have let theirs expire long since."""
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
    away = _away(hosts)
    unavailable = operation.parameters.get("max_unavailable", DEFAULT_MAX_UNAVAILABLE)
    failures = operation.parameters.get("max_failures", DEFAULT_MAX_FAILURES)
    return Limits(
        max_unavailable=resolve(unavailable, len(hosts), least=1) - len(away),
        max_failures=resolve(failures, len(hosts), least=0) - len(failed),
    )


def first_hosts(operation: Operation, hosts: list[OperationHost]) -> list[OperationHost]:
    """Return the hosts that go before all others, whatever became of them."""
    return hosts[: resolve_canary(operation.parameters.get("canary", 0), len(hosts))]


def canary_vars(first: list[OperationHost]) -> dict[str, Any]:
    """Return what a playbook must know of the hosts that go first: how many are left, and when the last one ended."""
    ended = [row.finished_at.timestamp() for row in first if row.finished_at is not None]
    left = sum(row.state in _OPEN for row in first)
    return {"canary": left, "canary_ended_at": max(ended, default=0)} if first else {}


def make_plan(session: Session, store: SecretStore, operation: Operation, directory: Path, runtime: Path) -> Plan:
    """Plan the next attempt at *operation*. Hosts that were interrupted come first, hosts that are done not at all."""
    rows = session.exec(
        select(OperationHost).where(OperationHost.operation_id == operation.id).order_by(col(OperationHost.position))
    ).all()
    left = sorted((row for row in rows if row.state in _OPEN), key=lambda row: row.state != OperationHostState.RUNNING)
    if operation.kind in OF_MACHINES or operation.kind in OF_GUESTS:
        if not left:
            return Plan(None, {})
        job_of = machine_job if operation.kind in OF_MACHINES else guest_job
        one = job_of(session, store, operation, left[0], directory, runtime)
        return Plan(None, {left[0].address: one}) if isinstance(one, str) else Plan(one, {})
    limits = limits_left(operation, list(rows))
    counts = left and operation.kind in ROLLING
    if counts and limits.max_failures < 0:
        return Plan(None, {}, "more hosts failed than max_failures allows")
    if counts and limits.max_unavailable < 1:
        return Plan(None, {}, "hosts that failed are out of service and hold every place of max_unavailable")
    stopping = [row.address for row in rows if row.state == OperationHostState.FAILED and "stops_others" in row.data]
    if left and stopping:
        return Plan(None, {}, f"{', '.join(stopping)} was not fit, which stops the others")
    first = first_hosts(operation, list(rows))
    broken = [row.address for row in first if row.state in (OperationHostState.FAILED, OperationHostState.CANCELLED)]
    if left and broken:
        return Plan(None, {}, f"{', '.join(broken)} failed, and went first to try it out")
    try:
        found = reach(session, store, [row.address for row in left], directory)
    except StoreUnavailable as error:
        return Plan(None, {}, str(error))
    kind = KINDS[operation.kind]
    key = operation.parameters.get("failure_domain")
    for variables in found.hosts.values() if key else ():
        variables["commissaire_labels"] = {key: "", **variables["commissaire_labels"]}  # none is a domain as well
    for address, cluster in found.clusters.items():
        found.hosts[address].update(kind.host_vars(*cluster))
    try:
        kubeconfigs = (
            _tell_of_managers(session, store, found, rolling=operation.kind in ROLLING) if kind.knows_nodes else {}
        )
    except StoreUnavailable as error:
        return Plan(None, {}, str(error))
    for address, names in _left_leased(session, [row.address for row in left]).items():
        if address in found.hosts:
            found.hosts[address]["lease_succeeds"] = names
    for row in left:
        if row.state == OperationHostState.RUNNING and row.address in found.hosts:
            found.hosts[row.address].update(kind.interrupted_vars(operation, row.phase not in _BEFORE_WORK))
    job = Job(
        operation_id=operation.id or 0,
        playbook=kind.playbook,
        directory=str(directory),
        runtime_directory=str(runtime),
        inventory={"all": {"hosts": found.hosts, "vars": common_vars(directory)}},
        extra_vars=kind.extra_vars(operation, limits)
        | canary_vars(first)
        | _domains_away(session, operation, list(rows))
        | _fleet(session, operation, list(rows))
        | {"control_file": str(ControlFile(directory).path)},
        known_hosts=found.known_hosts,
        keys=list(found.keys.values()),
        forks=kind.forks(operation, limits),
        dry_run=operation.dry_run,
        kubeconfigs=kubeconfigs,
    )
    if holds_template(job.extra_vars):
        return Plan(None, {}, "its parameters hold a template, which Ansible would carry out on the server")
    for address in [address for address, variables in found.hosts.items() if holds_template(variables)]:
        del found.hosts[address]
        found.unusable[address] = "its record holds a template, which Ansible would carry out on the server"
    return Plan(job if found.hosts else None, found.unusable)


def _tell_of_managers(session: Session, store: SecretStore, found: Reach, *, rolling: bool) -> dict[str, str]:
    """Tell hosts whose cluster has a container manager of it, and return the kubeconfigs; see `Job`.

    Hosts whose manager's options can't be used are not usable either: they are nodes, and nobody could drain them.
    """
    kubeconfigs: dict[str, str] = {}
    names = {cluster.container_manager for cluster, _ in found.clusters.values() if cluster.container_manager}
    managers = session.exec(select(ContainerManager).where(col(ContainerManager.name).in_(names))).all()
    problems: dict[str, str] = {}
    node_vars: dict[str, dict[str, Any]] = {}
    for manager in managers:
        if registers_nodes(manager):
            told = manager.options.get("node", {}).items()
            node_vars[manager.name] = {f"kubernetes_node_{key}": value for key, value in told}
            try:
                content = kubeconfig_of(revealed_options(session, store, manager))
                kubeconfigs[manager.name] = orjson.dumps(content).decode()
            except ManagerError as error:
                problems[manager.name] = f"container manager {manager.name}: {error}"
    for address, host in hosts_at(session, list(found.hosts)).items():
        name = found.clusters[address][0].container_manager or "" if address in found.clusters else ""
        if name in kubeconfigs:
            found.hosts[address][KUBECONFIG] = name
            found.hosts[address]["node_name"] = host.node_name
            found.hosts[address].update(node_vars[name])
        elif name in problems or (host.node_name and rolling):
            del found.hosts[address]
            found.unusable[address] = problems.get(name) or (
                f"it is node {host.node_name} of a container manager, and its cluster has none (any more) by which it "
                "could be drained; give the cluster its container manager back, or bootstrap the host again"
            )
    return kubeconfigs


def _domains_away(session: Session, operation: Operation, rows: list[OperationHost]) -> dict[str, Any]:
    """Tell the failure domains of hosts that earlier attempts left out of service."""
    if not operation.parameters.get("one_domain_at_a_time"):
        return {}
    key = operation.parameters["failure_domain"]
    hosts = hosts_at(session, [row.address for row in _away(rows)])
    return {"domains_away": sorted({host.labels.get(key, "") for host in hosts.values()})}


def _fleet(session: Session, operation: Operation, rows: list[OperationHost]) -> dict[str, Any]:
    """Tell all hosts of the cluster, also those that this operation does not work on (any more), for min_healthy."""
    if "min_healthy" not in operation.parameters:
        return {}
    members = session.exec(
        select(Host.address, Host.node_name)
        .join(Cluster, col(Cluster.id) == Host.cluster_id)
        .where(Cluster.name == operation.cluster)
        .where(or_(col(Host.status) != HostStatus.DISASSOCIATED, col(Host.message) != ""))  # that has left on purpose
    )
    nodes: dict[str, str] = dict(members.all())
    return {
        "min_healthy_of": sorted(
            {*nodes, *(row.address for row in rows if row.state != OperationHostState.NOT_STARTED)}
        ),
        "min_healthy_nodes": {address: name for address, name in nodes.items() if name},
    }


def _away(rows: list[OperationHost]) -> list[OperationHost]:
    """Return the hosts that failed out of service: by their phase, or because an earlier attempt left them there."""
    failed = [row for row in rows if row.state == OperationHostState.FAILED]
    return [row for row in failed if row.phase in _AWAY_PHASES or "out_of_service" in row.data]


def _left_leased(session: Session, addresses: list[str]) -> dict[str, list[str]]:
    """Return, by address, the names of operations that have ended since the host was last brought to a good end.

    Any of them may have been unable to give its lease back. Nobody works for them any more, so nobody need wait for
    that. Only rolling operations take leases, and no dry run does.
    """
    found: dict[str, list[str]] = {}
    for batch in batched(addresses):
        of_these = (
            col(OperationHost.address).in_(batch),
            col(Operation.kind).in_(ROLLING),
            col(Operation.dry_run).is_(False),
        )
        good = dict(
            session.exec(
                select(OperationHost.address, func.max(OperationHost.operation_id))
                .join(Operation, col(Operation.id) == OperationHost.operation_id)
                .where(*of_these, OperationHost.state == OperationHostState.FINISHED)
                .group_by(col(OperationHost.address))
            ).all()
        )
        rows = session.exec(
            select(OperationHost.address, Operation.id, Operation.created_at)
            .join(Operation, col(Operation.id) == OperationHost.operation_id)
            .where(*of_these, col(Operation.state).in_(TERMINAL))
            .where(col(OperationHost.state).in_((OperationHostState.FAILED, OperationHostState.CANCELLED)))
            .order_by(col(Operation.id).desc())
        )
        for address, operation_id, created_at in rows:
            names = found.setdefault(address, [])
            if (operation_id or 0) > good.get(address, 0) and len(names) < _MOST_LEASES:
                names.append(lease_name(operation_id, created_at))
    return {address: names for address, names in found.items() if names}
