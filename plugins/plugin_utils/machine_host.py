# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A virtual machine as one of Ansible's hosts: its name, its groups, its variables.

Machines are as `hypervisors.machines_of` tells of them. Who may define one chooses its name, which nobody may mistake
for another host, a group or a pattern.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from ansible.inventory.group import to_safe_group_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    Machine = Mapping[str, Any]

NAME = re.compile(r"\w[\w.-]*")
RESERVED = ("all", "ungrouped", "localhost")
VARIABLES = ("name", "uuid", "state", "hypervisor", "owner", "memory_mb", "vcpus", "networks")
FILTERS = ("owners", "networks", "states")
_PREFERENCE = ("running", "idle", "paused", "in shutdown", "pmsuspended")


def once(machines: Iterable[Machine]) -> list[Machine]:
    """Return each machine once: one that several hypervisors know, as after a migration, is that of where it runs."""
    found: dict[tuple[str, str], Machine] = {}
    for machine in machines:
        known = found.setdefault((machine["uuid"], machine["name"]), machine)
        if _rank(machine) < _rank(known):
            found[machine["uuid"], machine["name"]] = machine
    return list(found.values())


def passes(machine: Machine, filters: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether a machine has one of each that `filters` names. States may be written with underscores."""
    has = {
        "owners": {machine["owner"]},
        "networks": set(machine["networks"]),
        "states": {machine["state"], machine["state"].replace(" ", "_")},
    }
    return all(has[name] & set(wanted) for name, wanted in filters.items())


def host_names(machines: Sequence[Machine], taken: Collection[str]) -> list[str]:
    """Return what each machine is called, whatever their order; "" for one that could be mistaken for another.

    That is its name, NAME.HYPERVISOR for those that share a name, and its UUID where neither can be a host's name.
    """

    def free(name: str) -> bool:
        return name not in taken and _is_name(name)

    candidates = [
        (one["name"], f"{one['name']}.{one['hypervisor_host']}", one["uuid"]) if free(one["name"]) else (one["uuid"],)
        for one in machines
    ]
    counted = Counter(name for names in candidates for name in set(names))
    return [next((name for name in names if counted[name] == 1 and free(name)), "") for names in candidates]


def groups_of(machine: Machine) -> list[str]:
    """Return the groups a machine is in. Whatever can't be in a group's name is an underscore."""
    names = [f"hypervisor_{machine['hypervisor_host']}", f"state_{machine['state']}"]
    names += [f"network_{network}" for network in machine["networks"]]
    names += [f"owner_{machine['owner']}"] if machine["owner"] else []
    return list(dict.fromkeys(to_safe_group_name(name, force=True, silent=True) for name in names))


def variables_of(machine: Machine, address_family: str) -> dict[str, Any]:
    """Return a machine's variables; `ansible_host` only when one of its ports has an address of that family."""
    addresses = machine["addresses"]
    told = [{name: value for name, value in one.items() if name != "on_port"} for one in addresses]
    variables = {**{f"vm_{name}": machine[name] for name in VARIABLES}, "vm_addresses": told}
    for one in addresses:
        if one["on_port"] and address_family in ("any", f"ipv{ipaddress.ip_address(one['address']).version}"):
            return {"ansible_host": one["address"], **variables}
    return variables


def _rank(machine: Machine) -> int:
    state = machine["state"]
    return _PREFERENCE.index(state) if state in _PREFERENCE else len(_PREFERENCE)


def _is_name(name: str) -> bool:
    """Tell whether a host can be called so: no pattern of Ansible's, and no address, which would be connected to."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(NAME.fullmatch(name)) and name not in RESERVED
    return False
