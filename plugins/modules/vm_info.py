# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell of virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_info
short_description: Tell of the virtual machines on a hypervisor
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Tells of libvirt's domains, those that run and those that don't.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  name:
    description: Only the machine of this name; all without it.
    type: str
  owner:
    description: Only machines of this owner.
    type: str
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
seealso:
  - module: commissaire.fleet.vm
"""

EXAMPLES = r"""
- name: Which machines are there?
  commissaire.fleet.vm_info:
  register: machines
"""

RETURN = r"""
vms:
  description: The machines, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name.
      type: str
    uuid:
      description: Its UUID.
      type: str
    state:
      description: Its state, as virsh prints it.
      type: str
    autostart:
      description: Whether it starts with the hypervisor.
      type: bool
    memory_mb:
      description: Its memory, in MiB.
      type: int
    vcpus:
      description: Its processors.
      type: int
    virt_type:
      description: By what it is run, as C(kvm) or C(qemu).
      type: str
    firmware:
      description: Its firmware, C(bios) or C(uefi).
      type: str
    cpu:
      description: Which processor it sees, by libvirt's modes.
      type: str
    boot:
      description: From which devices it boots.
      type: list
      elements: str
    disks:
      description: Its disks, with C(pool), C(volume), C(device) and C(format).
      type: list
      elements: dict
    networks:
      description: Its ports on networks, with C(network), C(mac) and C(model).
      type: list
      elements: dict
    guest_agent:
      description: Whether there is a channel for a guest agent.
      type: bool
    graphics:
      description: How its picture can be seen.
      type: str
    owner:
      description: Whose it is; null for nobody's.
      type: str
    needs_power_cycle:
      description: What of its definition it gets when it is started next.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import observe
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import ARGUMENTS, connected, found


def main() -> None:
    """Tell of machines."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "name": {"type": "str"}, "owner": {"type": "str"}}, supports_check_mode=True
    )
    name, owner = module.params["name"], module.params["owner"]
    with connected(module, read_only=True) as connection:
        domains = [found(connection.lookupByName, name)] if name else connection.listAllDomains()
        machines = [machine for machine in (observe(connection, domain) for domain in domains) if machine]
        chosen = [machine for machine in machines if owner is None or machine.defined.owner == owner]
        module.exit_json(vms=[machine.facts() for machine in sorted(chosen, key=lambda one: one.name)])


if __name__ == "__main__":
    main()
