"""The plan of an operation on virtual machines: the playbook's own words for what was asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sqlmodel import Session

from commissaire.fleet.errors import FleetError
from commissaire.fleet.keys import UnusableKey
from commissaire.fleet.machines import LITERAL
from commissaire.fleet.new_hosts import REGISTER, kept_key
from commissaire.fleet.plain_text import holds_template
from commissaire.launcher.control_file import ControlFile
from commissaire.launcher.hypervisor_reach import reach_hypervisor
from commissaire.launcher.job import Job, PrivateKey
from commissaire.launcher.reach import common_vars, login_vars, private_key
from commissaire.literal import literal
from commissaire.records import Hypervisor, Operation, OperationHost, OperationHostState, OperationKind
from commissaire.secrets.errors import SecretError
from commissaire.secrets.store import SecretStore

_ROLES = {
    OperationKind.VM_CREATE: "vm_create",
    OperationKind.VM_REMOVE: "vm_remove",
    OperationKind.VM_NETWORK_CREATE: "vm_network",
    OperationKind.VM_NETWORK_REMOVE: "vm_network",
    OperationKind.VM_PROBE: "vm_probe",
}
_OWN = ("hypervisor", "register")
"""Parameters that are no variables of the role's."""


def machine_job(
    session: Session, store: SecretStore, operation: Operation, row: OperationHost, directory: Path, runtime: Path
) -> Job | str:
    """Return the job, or why there is none."""
    keys: list[PrivateKey] = []
    try:
        reach = reach_hypervisor(session, store, operation.parameters["hypervisor"])
    except (FleetError, SecretError, UnusableKey) as error:
        return str(error)
    hypervisor = reach.hypervisor
    kind = OperationKind(operation.kind)
    role = _ROLES[kind]
    variables: dict[str, Any] = {
        f"{role}_{key}": value for key, value in operation.parameters.items() if key not in _OWN
    }
    variables[f"{role}_uri"] = hypervisor.uri
    if kind == OperationKind.VM_CREATE:
        variables |= _of_new(hypervisor, operation, directory)
        if row.state == OperationHostState.RUNNING:  # an earlier attempt has created it
            variables |= _of_begun(row)
        try:
            encoded = kept_key(session, store, operation)
            keys = [] if encoded is None else [private_key(encoded)]
        except (SecretError, UnusableKey) as error:
            return str(error)
        if keys:
            variables |= login_vars(operation.parameters[REGISTER].get("remote_user") or "root", keys[0], directory)
    if role == "vm_probe":
        variables["vm_probe_pool"] = hypervisor.pool
    if role in ("vm_network", "vm_probe"):
        variables |= {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    of_cloud_init = {f"{role}_{key}" for key in LITERAL} & variables.keys()
    if holds_template({key: value for key, value in variables.items() if key not in of_cloud_init}):
        return "its parameters hold a template, which Ansible would carry out on the server"
    variables |= {key: literal(variables[key]) for key in of_cloud_init}
    reached = reach.variables(directory, runtime) | reach.looked_up(runtime)
    variables |= {f"{role}_{name}": value for name, value in reached.items()}
    return Job(
        operation_id=operation.id or 0,
        playbook=f"commissaire.fleet.{kind}",
        directory=str(directory),
        runtime_directory=str(runtime),
        inventory={"all": {"hosts": {row.address: variables}, "vars": common_vars(directory)}},
        extra_vars={"control_file": str(ControlFile(directory).path)},
        known_hosts="",
        keys=keys + reach.keys,
        forks=1,
        dry_run=operation.dry_run,
        files=reach.files,
        secret_files=reach.secret_files,
    )


def _of_begun(row: OperationHost) -> dict[str, Any]:
    """Return what is told of a machine that an earlier attempt has begun to create."""
    if row.phase == "creating":
        return {"vm_create_unfinished": row.data.get("making", [])}
    return {"vm_create_existing": "adopt", "vm_create_interrupted": row.phase == "installing"}


def _of_new(hypervisor: Hypervisor, operation: Operation, directory: Path) -> dict[str, Any]:
    """Return by what the machine is run, as far as that is known, and where its keys are pinned."""
    wanted = hypervisor.probed_virt_type or hypervisor.virt_type
    return {
        "vm_create_virt_type": wanted if hypervisor.virt_type == "auto" else hypervisor.virt_type,
        "vm_create_pool": operation.parameters.get("pool") or hypervisor.pool,
        "vm_create_known_hosts": str(directory / "known_hosts"),
    }
