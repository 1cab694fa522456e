"""Operations on virtual machines and their networks: asking for them, on a session that the caller commits."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from sqlmodel import Session, select

from commissaire.fleet.errors import Conflict, Invalid
from commissaire.fleet.hypervisors import usable_hypervisor
from commissaire.fleet.new_hosts import keep_key
from commissaire.fleet.operations import Requester, add_hosts, record_operation
from commissaire.fleet.plain_text import holds_template
from commissaire.literal import holds_tag
from commissaire.records import Operation, OperationKind
from commissaire.secrets.store import SecretStore

_MACHINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
"""libvirt takes more; but these are also names of volumes, files and inventory hosts."""
_OF_ANSIBLE = ("all", "localhost", "127.0.0.1", "ungrouped")
LITERAL = ("network_config", "user_data")
"""Parameters of machines that may hold `{{`: they are cloud-init's, and Ansible is told that they are no templates."""
LOCATION_PATTERN = r"^(https?|ftp)://[^\s,]+$"
"""As the module vm_install has it: what follows a comma would be an option of virt-install's."""


def check_machine_name(name: str) -> str:
    """Return *name*.

    Raises:
        Invalid: a machine can't be called so here.
    """
    return _checked(name, _MACHINE, "machine", ".-_")


def check_worked_on(name: str) -> str:
    """Return the *name* of a machine that an operation works on.

    Raises:
        Invalid: a machine can't be called so here, or not as a host of an inventory.
    """
    if name in _OF_ANSIBLE:
        raise Invalid(f"a machine can't be called {name}, which means something else to Ansible; choose another name")
    return check_machine_name(name)


def check_network_name(name: str) -> str:
    """Return *name*.

    Raises:
        Invalid: a network can't be called so here.
    """
    return _checked(name, _NETWORK, "network", ".-_:")


def request_machine(
    session: Session,
    kind: OperationKind,
    hypervisor: str,
    name: str,
    parameters: dict[str, Any],
    requester: Requester,
    *,
    store: SecretStore | None = None,
    key: str | None = None,
) -> Operation:
    """Record an operation on one machine. While another one works on it, there is none.

    The private *key* that a new one is reached by is kept in *store*.

    Raises:
        Invalid: the name or a parameter can't be used.
        NotFound: there is no such hypervisor.
        Conflict: it is not allowed, or another operation works on the machine.
    """
    operation = _request(session, kind, hypervisor, check_worked_on(name), "machine", parameters, requester)
    if store is not None and key is not None:
        keep_key(session, store, operation, key)
    return operation


def request_network(
    session: Session,
    kind: OperationKind,
    hypervisor: str,
    name: str,
    parameters: dict[str, Any],
    requester: Requester,
) -> Operation:
    """Record an operation on one network of a hypervisor; see `request_machine`."""
    return _request(session, kind, hypervisor, check_network_name(name), "network", parameters, requester)


def request_probe(session: Session, hypervisor: str, requester: Requester) -> Operation:
    """Record an operation that sees by what a hypervisor runs machines; see `request_machine`."""
    return _request(session, OperationKind.VM_PROBE, hypervisor, "", "hypervisor", {}, requester)


def _request(
    session: Session,
    kind: OperationKind,
    hypervisor: str,
    name: str,
    noun: str,
    parameters: dict[str, Any],
    requester: Requester,
) -> Operation:
    if holds_template({key: value for key, value in parameters.items() if key not in LITERAL}):
        raise Invalid(f"the parameters of {noun} {name} hold a template of Ansible's, which is never carried out here")
    if holds_tag(parameters):
        raise Invalid(f"the parameters of {noun} {name} hold a key that begins with __ansible_, which is Ansible's own")
    usable_hypervisor(session, hypervisor)
    key = _key(noun, hypervisor, name)
    active = session.exec(select(Operation).where(Operation.exclusive_key == key)).first()
    what = f"{noun} {name} of hypervisor {hypervisor}" if name else f"{noun} {hypervisor}"
    if active is not None:
        raise Conflict(f"operation {active.id} ({active.kind}) works on {what}; wait for its end or cancel it")
    told = {"hypervisor": hypervisor, **({"name": name} if name else {}), **parameters}
    operation = Operation(kind=kind, parameters=told, exclusive_key=key)
    record_operation(session, operation, requester, f"{noun} {name} on {hypervisor}" if name else what)
    add_hosts(session, operation, [{"address": name if noun == "machine" else hypervisor}])
    return operation


def _key(noun: str, hypervisor: str, name: str) -> str:
    """Return what no other active operation may have; of a fixed length, unlike names."""
    return f"{noun}/{hashlib.sha256(f'{hypervisor}/{name}'.encode()).hexdigest()}"


def _checked(name: str, pattern: re.Pattern[str], noun: str, marks: str) -> str:
    if not pattern.fullmatch(name):
        shown = name if len(name) <= 80 else f"{name[:80]}…"
        raise Invalid(
            f"a {noun} can't be called {shown!r}; take 1 to 200 letters, digits and {' '.join(marks)}, "
            "a letter or digit first"
        )
    return name
