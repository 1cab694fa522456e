"""What each kind of operation is: its playbook and variables, and what its outcome means for a host's record."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from commissaire.fleet.clusters import came_up
from commissaire.fleet.host_facts import record_facts
from commissaire.fleet.limits import Limits
from commissaire.fleet.networks import bootstrap_options
from commissaire.fleet.new_hosts import register
from commissaire.fleet.plain_text import without_templates
from commissaire.records import (
    Cluster,
    Host,
    HostStatus,
    Hypervisor,
    Network,
    Operation,
    OperationHostState,
    OperationKind,
)
from commissaire.secrets.store import SecretStore

Effects = Callable[[Session, str, str, str, str, dict[str, Any]], None]
"""`effects(session, address, state, phase, message, data)`: in the transaction that records a host's progress."""

REBOOT_TIMEOUT = "reboot_timeout_seconds"
DEFAULT_REBOOT_TIMEOUT_SECONDS = 600

DEFAULT_STAGE_AT_ONCE = 10
_FORKS = 5 * (os.cpu_count() or 1)
_DONE_BEFORE = ("hosts", "host_order")
"""What the list of an operation's hosts, and its order, follow from already."""
_BEGINS_WITH_PHASE = re.compile(r"[a-z_]+: ")


@dataclass(frozen=True)
class Kind:
    """One kind of operation. `extra_vars` and `forks` are given the operation and the limits that are left.

    `host_vars` are for hosts in a cluster, `interrupted_vars` for hosts that an earlier attempt left half-way, told
    whether it had begun to change something. `done` is what was done to a host. With `knows_nodes` the playbook is told
    of the hosts' container managers.
    """

    playbook: str
    extra_vars: Callable[[Operation, Limits], dict[str, Any]]
    forks: Callable[[Operation, Limits], int]
    effects: Effects
    done: str
    host_vars: Callable[[Cluster, Network], dict[str, Any]] = lambda cluster, network: {}
    interrupted_vars: Callable[[Operation, bool], dict[str, Any]] = lambda operation, begun: {}
    knows_nodes: bool = False
    completed: Callable[[Session, SecretStore, Operation], str] = lambda session, store, operation: ""
    """What is done in the transaction that ends an operation well; returns what there is to say of that."""


def no_effects(session: Session, address: str, state: str, phase: str, message: str, data: dict[str, Any]) -> None:
    """Leave the hosts' records as they are: `Effects` of a dry run."""


def with_phase(phase: str, message: str) -> str:
    """Put the phase before the message, unless the playbook has put one there."""
    return message if not phase or _BEGINS_WITH_PHASE.match(message) else f"{phase}: {message}"


def lease_name(operation_id: int | None, created_at: datetime) -> str:
    """Return the name under which an operation holds leases: of no other server's operation either."""
    return f"{operation_id}-{created_at.timestamp():.6f}"


def _rolling_vars(operation: Operation, limits: Limits) -> dict[str, Any]:
    parameters = {name: value for name, value in operation.parameters.items() if name not in _DONE_BEFORE}
    if operation.attempt > 1 and parameters.get("outside_window") == "refuse":
        parameters["outside_window"] = "wait"  # what has begun is never refused
    return {
        **parameters,
        "max_unavailable": limits.max_unavailable,
        "max_failures": limits.max_failures,
        "when_paused": "end",
        "lease_owner": f"{without_templates(operation.requested_by)} by Commissaire's operation {operation.id}",
        "operation_id": lease_name(operation.id, operation.created_at),
    }


def _break_vars(operation: Operation, limits: Limits) -> dict[str, Any]:
    return {"reason": operation.parameters["reason"], "lease_owner": without_templates(operation.requested_by)}


def _rolling_forks(operation: Operation, limits: Limits) -> int:
    """Return one fork more than the window; a deploy first stages its version, on more hosts at once."""
    at_once = limits.max_unavailable + 1
    if operation.kind == OperationKind.DEPLOY:
        at_once = max(at_once, operation.parameters.get("stage_at_once", DEFAULT_STAGE_AT_ONCE))
    return min(at_once, 50)


def _interrupted_vars(operation: Operation, begun: bool) -> dict[str, Any]:
    """Wait for such a host as for one that reboots, in the middle of which it may be, and finish it at any time."""
    return {
        "contact_timeout_seconds": operation.parameters.get(REBOOT_TIMEOUT, DEFAULT_REBOOT_TIMEOUT_SECONDS),
        "work_begun": begun,
        "interrupted": True,
    }


def _bootstrap_host_vars(cluster: Cluster, network: Network) -> dict[str, Any]:
    return {"bootstrap_cluster": cluster.name, "bootstrap_network": bootstrap_options(network)}


def _left(session: Session, address: str, state: str, phase: str, message: str, data: dict[str, Any]) -> None:
    host = _host(session, address)
    if host is not None and state == OperationHostState.FINISHED:
        host.node_name = ""
    _rolled(OperationKind.NODE_LEAVE)(session, address, state, phase, message, data)


def _rolled(kind: OperationKind) -> Effects:
    def effects(session: Session, address: str, state: str, phase: str, message: str, data: dict[str, Any]) -> None:
        if state not in (OperationHostState.FINISHED, OperationHostState.FAILED):
            return
        host = _host(session, address)
        if host is None:
            return
        if state == OperationHostState.FINISHED:
            came_up(session, host)
        else:
            host.status, host.message = HostStatus.FAILED, f"{kind}: {with_phase(phase, message)}"

    return effects


def _bootstrapped(session: Session, address: str, state: str, phase: str, message: str, data: dict[str, Any]) -> None:
    facts = data.get("facts")
    if not facts and state in (OperationHostState.RUNNING, OperationHostState.PENDING):
        return
    host = _host(session, address)
    if host is None:
        return
    if facts:
        record_facts(host, facts)
        if host.status == HostStatus.INVESTIGATING:
            host.status = HostStatus.BOOTSTRAPPING
    if state == OperationHostState.FINISHED:
        host.bootstrapped, host.node_name = True, str(data.get("node") or "")
        came_up(session, host)
    elif state not in (OperationHostState.RUNNING, OperationHostState.PENDING):
        host.bootstrapped = False
        host.status, host.message = HostStatus.FAILED, f"bootstrap: {with_phase(phase, message)}"


def _host(session: Session, address: str) -> Host | None:
    return session.exec(select(Host).where(Host.address == address)).first()


def _rolling(kind: OperationKind, done: str, effects: Effects | None = None) -> Kind:
    return Kind(
        playbook=f"commissaire.fleet.{kind}",
        extra_vars=_rolling_vars,
        forks=_rolling_forks,
        effects=effects or _rolled(kind),
        done=done,
        interrupted_vars=_interrupted_vars,
        knows_nodes=True,
    )


def _of_machines(kind: OperationKind, done: str, effects: Effects = no_effects) -> Kind:
    return Kind(
        playbook=f"commissaire.fleet.{kind}",
        extra_vars=lambda operation, limits: {},
        forks=lambda operation, limits: 1,
        effects=effects,
        done=done,
    )


def _made(session: Session, address: str, state: str, phase: str, message: str, data: dict[str, Any]) -> None:
    """Remember by what the hypervisor's machines are run, once one was made there that was not told."""
    for hypervisor in _at(session, data.get("uri")):
        if hypervisor.virt_type == "auto":
            hypervisor.probed_virt_type = (data.get("vm") or {}).get("virt_type") or hypervisor.probed_virt_type


def _probed(session: Session, address: str, state: str, phase: str, message: str, data: dict[str, Any]) -> None:
    """Remember by what the hypervisor's machines are run."""
    for hypervisor in _at(session, data.get("uri")):
        hypervisor.probed_virt_type = data.get("virt_type") or hypervisor.probed_virt_type


def _at(session: Session, uri: str | None) -> Sequence[Hypervisor]:
    return session.exec(select(Hypervisor).where(Hypervisor.uri == uri)).all() if uri else ()


KINDS: dict[str, Kind] = {
    OperationKind.BOOTSTRAP: Kind(
        playbook="commissaire.fleet.bootstrap",
        extra_vars=lambda operation, limits: {},
        forks=lambda operation, limits: _FORKS,
        effects=_bootstrapped,
        done="bootstrapped",
        host_vars=_bootstrap_host_vars,
        knows_nodes=True,
    ),
    OperationKind.LEASE_SHOW: Kind(
        playbook="commissaire.fleet.lease_show",
        extra_vars=lambda operation, limits: {},
        forks=lambda operation, limits: _FORKS,
        effects=no_effects,
        done="asked",
    ),
    OperationKind.LEASE_BREAK: Kind(
        playbook="commissaire.fleet.lease_break",
        extra_vars=_break_vars,
        forks=lambda operation, limits: _FORKS,
        effects=no_effects,
        done="set free",
    ),
    OperationKind.VM_CREATE: replace(_of_machines(OperationKind.VM_CREATE, "created", _made), completed=register),
    OperationKind.VM_REMOVE: _of_machines(OperationKind.VM_REMOVE, "removed"),
    OperationKind.VM_NETWORK_CREATE: _of_machines(OperationKind.VM_NETWORK_CREATE, "given the network"),
    OperationKind.VM_NETWORK_REMOVE: _of_machines(OperationKind.VM_NETWORK_REMOVE, "rid of the network"),
    OperationKind.GUEST_INFO: _of_machines(OperationKind.GUEST_INFO, "asked"),
    OperationKind.GUEST_FILE: _of_machines(OperationKind.GUEST_FILE, "done"),
    OperationKind.GUEST_PASSWORD: _of_machines(OperationKind.GUEST_PASSWORD, "given the password"),
    OperationKind.GUEST_NETWORK: _of_machines(OperationKind.GUEST_NETWORK, "given the network"),
    OperationKind.GUEST_COMMAND: _of_machines(OperationKind.GUEST_COMMAND, "commanded"),
    OperationKind.GUEST_AGENT_UPDATE: _of_machines(OperationKind.GUEST_AGENT_UPDATE, "updated"),
    OperationKind.GUEST_AGENT: _of_machines(OperationKind.GUEST_AGENT, "given the agent"),
    OperationKind.VM_PROBE: _of_machines(OperationKind.VM_PROBE, "probed", _probed),
    OperationKind.RESTART: _rolling(OperationKind.RESTART, "restarted"),
    OperationKind.UPGRADE: _rolling(OperationKind.UPGRADE, "upgraded"),
    OperationKind.DEPLOY: _rolling(OperationKind.DEPLOY, "deployed"),
    OperationKind.KUBELET_UPGRADE: _rolling(OperationKind.KUBELET_UPGRADE, "upgraded"),
    OperationKind.NODE_LEAVE: _rolling(OperationKind.NODE_LEAVE, "released", _left),
}
