"""The plan of an operation inside a virtual machine: the playbook's own words for what was asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sqlmodel import Session

from commissaire.fleet.errors import FleetError
from commissaire.fleet.guests import Given, given_to
from commissaire.fleet.keys import UnusableKey
from commissaire.launcher.control_file import ControlFile
from commissaire.launcher.hypervisor_reach import HypervisorReach, reach_hypervisor
from commissaire.launcher.job import Job, Private
from commissaire.launcher.reach import common_vars
from commissaire.records import Operation, OperationHost, OperationKind
from commissaire.secrets.errors import SecretError, StoreUnavailable
from commissaire.secrets.store import SecretStore

NOT_AGAIN = "the server was interrupted while the command may have run; look at the machine before you ask again"
FETCHED = "fetched"
"""The `state` in which guest_file fetches a file."""
TASK_SECONDS = 900
"""How long one task may take, besides what it was given: it waits for some 600 s at most by itself."""
INSTALLATION_SECONDS = 1800
"""How long a task of the role guest_agent lets a command within the machine take, as a package manager."""
_SHOWN = ("hypervisor", "program", "bytes")
"""Parameters that are for readers of the record."""


def guest_job(
    session: Session, store: SecretStore, operation: Operation, row: OperationHost, directory: Path, runtime: Path
) -> Job | str:
    """Return the job, or why there is none."""
    kind = OperationKind(operation.kind)
    if kind == OperationKind.GUEST_COMMAND and operation.attempt > 1:
        return NOT_AGAIN
    try:
        name = operation.parameters.get("hypervisor")
        reach = None if name is None else reach_hypervisor(session, store, name)
        given = given_to(session, store, operation)
    except (FleetError, SecretError, StoreUnavailable, UnusableKey) as error:
        return str(error)
    place = {} if reach is None else _place(reach, directory, runtime)
    wanted = {**operation.parameters, **place, **given.variables}
    prefix = "guest_agent" if kind == OperationKind.GUEST_AGENT else "guest"
    variables = {f"{prefix}_{key}": value for key, value in wanted.items() if key not in _SHOWN}
    return Job(
        operation_id=operation.id or 0,
        playbook=f"commissaire.fleet.{kind}",
        directory=str(directory),
        runtime_directory=str(runtime),
        inventory={"all": {"hosts": {row.address: _connection(kind)}, "vars": common_vars(directory)}},
        extra_vars={"control_file": str(ControlFile(directory).path)},
        known_hosts="",
        keys=reach.keys if reach else [],
        forks=1,
        files=reach.files if reach else {},
        secret_files=reach.secret_files if reach else {},
        private=_private(kind, variables, given),
    )


def _place(reach: HypervisorReach, directory: Path, runtime: Path) -> dict[str, Any]:
    """Return where the machine is, as the modules want to know it."""
    told = reach.variables(directory, runtime) | reach.secret_variables()
    return {"uri": reach.hypervisor.uri, **{f"uri_{name}": value for name, value in told.items()}}


def _connection(kind: OperationKind) -> dict[str, Any]:
    """Return how the tasks are carried out: on this machine, which reaches the hypervisor.

    Those of the role that installs the agent are the machine's own; nothing of them may ever happen here.
    """
    if kind == OperationKind.GUEST_AGENT:
        return {}
    return {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def _private(kind: OperationKind, variables: dict[str, Any], given: Given) -> Private:
    if kind == OperationKind.GUEST_AGENT:
        variables |= {"guest_agent_through": "qemu", "guest_agent_on": "localhost"}
    if kind == OperationKind.GUEST_COMMAND:
        variables["guest_hide_secrets"] = False  # in no log; and an answer with asterisks would be another one
    seconds = INSTALLATION_SECONDS if kind == OperationKind.GUEST_AGENT else variables.get("guest_timeout", 0)
    fetches = kind == OperationKind.GUEST_FILE and variables.get("guest_state") == FETCHED
    return Private(
        module=f"commissaire.fleet.{kind}",
        variables=variables,
        content=given.content,
        content_as="guest_src",
        fetched_as="guest_dest" if fetches else "",
        most_bytes=given.most_bytes,
        most_seconds=TASK_SECONDS + seconds,
    )
