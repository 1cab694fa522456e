"""Machines by their owners, on all hypervisors at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from commissaire.fleet.errors import Conflict, NotFound
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.hypervisors import Hypervisors
from commissaire.machines.link import Link
from commissaire.machines.machine import Machine, find_domain, list_machines, owner_in

LOOK_SECONDS = 5.0
"""So long one that looks for machines waits for a hypervisor."""


def list_owned(
    hypervisors: Hypervisors, links: Sequence[Link], wanted: Callable[[str], bool]
) -> tuple[list[Machine], dict[str, str]]:
    """Return the machines whose owner is *wanted*, by owner, name and hypervisor, and why which hypervisors are silent.

    Raises:
        HypervisorFailed: all are silent.
    """
    answers, silent = hypervisors.ask_all(
        links, lambda link, connection: list_machines(connection, link.name), seconds=LOOK_SECONDS
    )
    if silent and not answers:
        raise HypervisorFailed("; ".join(silent.values()))
    found = [machine for machines in answers.values() for machine in machines if wanted(machine.owner)]
    return sorted(found, key=lambda machine: (machine.owner, machine.name, machine.hypervisor)), silent


def find_owned(hypervisors: Hypervisors, links: Sequence[Link], owner: str, name: str) -> Link:
    """Return the hypervisor that has the machine called *name* of *owner*.

    Raises:
        NotFound: none has.
        Conflict: several have.
        HypervisorFailed: none has of those that answer, and some don't.
    """
    answers, silent = hypervisors.ask_all(
        links, lambda _, connection: owned_domain(connection, owner, name) is not None, seconds=LOOK_SECONDS
    )
    found = [link for link in links if answers.get(link.name)]
    if len(found) > 1:
        names = " and ".join(link.name for link in found)
        raise Conflict(f"machine {name} is on hypervisors {names}; say which with ?hypervisor=NAME")
    if not found and silent:
        raise HypervisorFailed(f"no hypervisor that answers has machine {name}; {'; '.join(silent.values())}")
    if not found:
        raise NotFound(f"there is no machine {name}")
    return found[0]


def owned_domain(connection: Any, owner: str, name: str) -> Any:
    """Return libvirt's domain called *name* when it is *owner*'s; None when there is none."""
    domain = find_domain(connection, name)
    return domain if domain is not None and owner_in(domain.XMLDesc(0)) == owner else None
