# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copy virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_clone
short_description: Copy a virtual machine with its disks
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Defines a copy of a libvirt domain, with copies of its disks in the pools where they are, another UUID and other
    addresses. Its disks are called as it is, with C(-sda) and so on.
  - What is on the disks is not changed. A system that knows itself by a host key or a machine id has to be told.
  - A machine of the name that is there already is left as it is. A copy that did not come to its end leaves nothing.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  name:
    description: The name of the copy.
    type: str
    required: true
  source:
    description: The machine to copy, which must not run.
    type: str
    required: true
  linked:
    description:
      - Whether the disks are copies on write, which take no time and room. The machine's own disks must not change any
        more then.
    type: bool
    default: false
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Tells the copy before and after.
    support: full
seealso:
  - module: commissaire.fleet.vm
"""

EXAMPLES = r"""
- name: Make a machine of another
  commissaire.fleet.vm_clone:
    name: web2
    source: web1
"""

RETURN = r"""
vm:
  description: The copy, as M(commissaire.fleet.vm_info) tells of it.
  returned: success
  type: dict
"""

from dataclasses import dataclass, replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.clone import clone_xml, copied_disks
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import Domain, observe
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    ARGUMENTS,
    HypervisorError,
    active_pool,
    connected,
    found,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_machine import read_machine
from ansible_collections.commissaire.fleet.plugins.module_utils.volume import read_volume, volume_xml

SECURE = 1  # VIR_DOMAIN_XML_SECURE
INACTIVE = 2  # VIR_DOMAIN_XML_INACTIVE


def main() -> None:
    """Let there be a copy."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "source": {"type": "str", "required": True},
            "linked": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    with connected(module) as connection:
        present = observe(connection, found(connection.lookupByName, name))
        if present:
            module.exit_json(changed=False, vm=present.facts(), diff=_diff(present, present))
        source = found(connection.lookupByName, module.params["source"])
        if source is None:
            raise HypervisorError(f"there is no machine {module.params['source']} to copy")
        if source.isActive():
            raise HypervisorError(f"machine {source.name()} runs, and its disks change meanwhile; stop it first")
        xml = source.XMLDesc(INACTIVE | SECURE)
        linked = module.params["linked"]
        original = observe(connection, source)
        volumes = _wanted_volumes(original, copied_disks(xml, name), linked=linked)
        wanted = clone_xml(xml, name, {disk: (one.pool, one.copy, one.format) for disk, one in volumes.items()})
        if module.check_mode:
            copy = replace(original, name=name, uuid="", autostart=False, defined=read_machine(wanted), volumes={})
        else:
            copy = observe(connection, _clone(connection, wanted, [*volumes.values()], linked=linked))
        module.exit_json(changed=True, vm=copy.facts(), diff=_diff(None, copy))


@dataclass(frozen=True)
class Copy:
    """The volume `original` of a pool, what its copy is called, and of which format that is."""

    pool: str
    original: str
    copy: str
    format: str


def _wanted_volumes(source: Domain, names: dict[str, str], *, linked: bool) -> dict[str, Copy]:
    """Return by disk which volume is copied to what."""
    disks = [disk for disk in source.disks if disk.device == "disk"]
    for disk in disks:
        if not disk.pool:
            raise HypervisorError(f"disk {disk.volume} of machine {source.name} is in no storage pool")
    return {
        device: Copy(disk.pool, disk.volume, name, "qcow2" if linked else disk.format)
        for disk, (device, name) in zip(disks, names.items())  # noqa: B905  Python 3.8 has no strict
    }


def _clone(connection: Any, xml: str, copies: list[Copy], *, linked: bool) -> Any:
    """Make the volumes, then the domain; what was made is removed where that fails."""
    made = []
    try:
        for copy in copies:
            pool = active_pool(connection, copy.pool)
            volume = pool.storageVolLookupByName(copy.original)
            original = read_volume(volume.XMLDesc(0))
            definition = volume_xml(copy.copy, original.capacity_bytes, copy.format, original if linked else None)
            made.append(pool.createXML(definition) if linked else pool.createXMLFrom(definition, volume))
        return connection.defineXML(xml)
    except BaseException:
        for volume in made:
            volume.delete()
        raise


def _diff(before: Domain | None, after: Domain | None) -> dict[str, Any]:
    return {"before": before.facts() if before else {}, "after": after.facts() if after else {}}


if __name__ == "__main__":
    main()
