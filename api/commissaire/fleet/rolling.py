"""Rolling operations on clusters, restart, upgrade and deploy: asking for one. On a session that the caller commits."""

from __future__ import annotations

import re
from typing import Any

from sqlmodel import Session, col, select

from commissaire.fleet.errors import Conflict, Invalid
from commissaire.fleet.limits import DEFAULT_MAX_FAILURES, DEFAULT_MAX_UNAVAILABLE, check_limit
from commissaire.fleet.operations import Requester, add_hosts, record_operation, settle
from commissaire.records import (
    Cluster,
    Host,
    HostStatus,
    Operation,
    OperationHostState,
    OperationKind,
    OperationState,
)

REBOOT = ("when_needed", "always", "never")
"""When an upgrade reboots a host."""

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/+-]{0,127}$"
"""What a deploy's version looks like: an OSTree version, checksum or ref; never an option."""


def request_rolling(
    session: Session, kind: OperationKind, cluster: Cluster, parameters: dict[str, Any], requester: Requester
) -> tuple[Operation, bool]:
    """Record a rolling operation on *cluster*; return it and whether it is new. While the same runs, that is returned.

    Raises:
        Conflict: another one runs on the cluster.
        Invalid: the parameters can't be used.
    """
    checked = check_parameters(kind, parameters)
    session.exec(select(Cluster.id).where(Cluster.id == cluster.id).with_for_update()).one()  # two at once: one waits
    key = f"cluster/{cluster.name}"
    running = session.exec(select(Operation).where(Operation.exclusive_key == key)).first()
    if running is not None:
        if running.kind == kind and running.parameters.get("version") == checked.get("version"):
            return running, False
        raise Conflict(
            f"operation {running.id} ({_name(running)}) runs on cluster {cluster.name}; wait for it or cancel it"
        )
    operation = Operation(kind=kind, cluster=cluster.name, parameters=checked, exclusive_key=key)
    hosts = session.exec(select(Host).where(Host.cluster_id == cluster.id).order_by(col(Host.id))).all()
    record_operation(session, operation, requester)
    add_hosts(session, operation, [_row(kind, host) for host in hosts])
    if not hosts:
        settle(session, operation, OperationState.FINISHED, "the cluster has no hosts")
    return operation, True


def check_parameters(kind: OperationKind, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a rolling operation with the defaults of its limits filled in.

    Raises:
        Invalid: a limit, time-out, version or policy that can't be used.
    """
    parameters = {
        "max_unavailable": check_limit(
            "max_unavailable", given.get("max_unavailable", DEFAULT_MAX_UNAVAILABLE), least=1
        ),
        "max_failures": check_limit("max_failures", given.get("max_failures", DEFAULT_MAX_FAILURES), least=0),
    }
    timeout = given.get("reboot_timeout_seconds")
    if timeout is not None:
        if isinstance(timeout, bool) or not isinstance(timeout, int) or not 1 <= timeout <= 86400:
            raise Invalid(f"reboot_timeout_seconds must be a whole number from 1 to 86400, not {timeout!r}")
        parameters["reboot_timeout_seconds"] = timeout
    if kind == OperationKind.UPGRADE and given.get("reboot") is not None:
        if given["reboot"] not in REBOOT:
            raise Invalid(f"reboot must be one of {', '.join(REBOOT)}, not {given['reboot']!r}")
        parameters["reboot"] = given["reboot"]
    if kind == OperationKind.DEPLOY:
        parameters["version"] = _check_version(given.get("version"))
    return parameters


def _check_version(version: object) -> str:
    if not isinstance(version, str) or not re.fullmatch(VERSION_PATTERN, version):
        raise Invalid(
            "version must be the version, checksum or ref of an OSTree deployment: 1 to 128 letters, digits and "
            f"._:/+-, the first one a letter or digit; not {str(version)[:128]!r}"
        )
    return version


def _name(operation: Operation) -> str:
    version = operation.parameters.get("version")
    return f"{operation.kind} of version {version}" if version else operation.kind


def _row(kind: OperationKind, host: Host) -> dict[str, Any]:
    if host.status in (HostStatus.INVESTIGATING, HostStatus.BOOTSTRAPPING):
        state, message = OperationHostState.NOT_STARTED, f"the host is {host.status}; {kind} it when that is done"
        return {"address": host.address, "state": state, "message": message}
    return {"address": host.address}
