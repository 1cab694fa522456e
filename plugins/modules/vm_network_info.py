# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell of networks of virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_network_info
short_description: Tell of the networks of virtual machines on a hypervisor
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Tells of libvirt's networks, active or not.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  name:
    description: Only the network of this name; all without it.
    type: str
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
seealso:
  - module: commissaire.fleet.vm_network
"""

EXAMPLES = r"""
- name: Which networks are there?
  commissaire.fleet.vm_network_info:
  register: networks
"""

RETURN = r"""
networks:
  description: The networks, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The network's name.
      type: str
    uuid:
      description: Its UUID.
      type: str
    active:
      description: Whether it is active.
      type: bool
    autostart:
      description: Whether it starts with the hypervisor.
      type: bool
    mode:
      description: C(nat), C(isolated), C(bridge) or C(openvswitch); another of libvirt's for a network of another kind.
      type: str
    bridge:
      description: The bridge that machines become ports of; null where libvirt has its own.
      type: str
    vlan:
      description: The tag of their ports; null for none.
      type: int
    address:
      description: The hypervisor's own address and its prefix; null for none.
      type: str
    dhcp:
      description: The C(start) and C(end) of what is leased; null where nothing is.
      type: dict
    domain:
      description: The DNS domain; null for none.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import ARGUMENTS, connected, found
from ansible_collections.commissaire.fleet.plugins.module_utils.present_network import observe


def main() -> None:
    """Tell of networks."""
    module = AnsibleModule(argument_spec={**ARGUMENTS, "name": {"type": "str"}}, supports_check_mode=True)
    name = module.params["name"]
    with connected(module, read_only=True) as connection:
        networks = [found(connection.networkLookupByName, name)] if name else connection.listAllNetworks()
        present = {network.name(): observe(network) for network in networks if network is not None}
        module.exit_json(networks=[one.facts(name) for name, one in sorted(present.items()) if one])


if __name__ == "__main__":
    main()
