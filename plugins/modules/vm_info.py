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
  addresses:
    description:
      - Whether to tell the addresses of those that run as well, as their guest agents say. Where there is no agent, or
        it doesn't answer within a few seconds, they come from the leases of libvirt's networks, and from the
        hypervisor's ARP table.
      - Guest agents can be asked only by who may change machines.
      - Addresses that mean something only on the machine or on its link are left out.
    type: bool
    default: false
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

- name: Where do Ann's machines answer?
  commissaire.fleet.vm_info:
    owner: ann
    addresses: true
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
    addresses:
      description:
        - Its addresses, by the order of its ports.
        - Each has C(mac), C(network) (null where its port is on none, or it has no such port), C(address), C(prefix)
          (null where only ARP knows the address) and C(source), which is C(agent), C(lease) or C(arp).
      returned: with O(addresses=true)
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.addresses import addresses_of
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import observe
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import ARGUMENTS, connected, found


def main() -> None:
    """Tell of machines."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str"},
            "owner": {"type": "str"},
            "addresses": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    name, owner, addresses = (module.params[option] for option in ("name", "owner", "addresses"))
    with connected(module, read_only=not addresses) as connection:
        domains = [found(connection.lookupByName, name)] if name else connection.listAllDomains()
        read = [(observe(connection, domain), domain) for domain in domains]
        chosen = [pair for pair in read if pair[0] and owner in (None, pair[0].defined.owner)]
        machines = {machine.name: machine.facts() for machine, _ in chosen}
        if addresses:
            live = {machine.name: (domain, domain.XMLDesc(0)) for machine, domain in chosen if machine.active}
            known = addresses_of(live)
            for vm, facts in machines.items():
                facts["addresses"] = [address.facts() for address in known.get(vm, [])]
        module.exit_json(vms=[machines[vm] for vm in sorted(machines)])


if __name__ == "__main__":
    main()
