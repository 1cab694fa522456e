"""What each kind of operation is: its playbook and variables, and what its outcome means for a host's record."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select

from commissaire.clock import now
from commissaire.fleet.limits import Limits
from commissaire.records import Host, HostStatus, Operation, OperationHostState, OperationKind

Effects = Callable[[Session, str, str, str, str, dict[str, Any]], None]
"""`effects(session, address, state, phase, message, data)`: in the transaction that records a host's progress."""

_FACTS = ("os", "os_version", "os_family", "kernel", "cpus", "memory_kb", "space_bytes")


@dataclass(frozen=True)
class Kind:
    """One kind of operation. `extra_vars` and `forks` are given the operation and the limits that are left."""

    playbook: str
    extra_vars: Callable[[Operation, Limits], dict[str, Any]]
    forks: Callable[[Limits], int]
    effects: Effects
    done: str


def _restart_vars(operation: Operation, limits: Limits) -> dict[str, Any]:
    variables: dict[str, Any] = {
        "max_unavailable": limits.max_unavailable,
        "max_failures": limits.max_failures,
        "operation_id": f"{operation.id}-{operation.created_at.timestamp():.6f}",
    }
    if "reboot_timeout_seconds" in operation.parameters:
        variables["reboot_timeout_seconds"] = operation.parameters["reboot_timeout_seconds"]
    return variables


def _restarted(session: Session, address: str, state: str, phase: str, message: str, data: dict[str, Any]) -> None:
    host = _host(session, address)
    if host is None:
        return
    if state == OperationHostState.FINISHED:
        _came_up(host)
    elif state == OperationHostState.FAILED:
        host.status, host.message = HostStatus.FAILED, f"restart, {phase or 'before its first phase'}: {message}"


def _bootstrapped(session: Session, address: str, state: str, phase: str, message: str, data: dict[str, Any]) -> None:
    host = _host(session, address)
    if host is None:
        return
    facts = data.get("facts")
    if facts:
        for name in _FACTS:
            if facts.get(name) is not None:
                setattr(host, name, facts[name])
        host.last_check = now()
        if host.status == HostStatus.INVESTIGATING:
            host.status = HostStatus.BOOTSTRAPPING
    if state == OperationHostState.FINISHED:
        _came_up(host)
    elif state not in (OperationHostState.RUNNING, OperationHostState.PENDING):
        host.status, host.message = HostStatus.FAILED, f"bootstrap, {phase or 'before its first phase'}: {message}"


def _came_up(host: Host) -> None:
    host.status = HostStatus.ACTIVE if host.cluster_id is not None else HostStatus.DISASSOCIATED
    host.message = ""
    host.last_check = now()


def _host(session: Session, address: str) -> Host | None:
    return session.exec(select(Host).where(Host.address == address)).first()


KINDS: dict[str, Kind] = {
    OperationKind.BOOTSTRAP: Kind(
        playbook="commissaire.fleet.bootstrap",
        extra_vars=lambda operation, limits: {},
        forks=lambda limits: 5 * (os.cpu_count() or 1),
        effects=_bootstrapped,
        done="bootstrapped",
    ),
    OperationKind.RESTART: Kind(
        playbook="commissaire.fleet.restart",
        extra_vars=_restart_vars,
        forks=lambda limits: min(limits.max_unavailable + 1, 50),
        effects=_restarted,
        done="restarted",
    ),
}
