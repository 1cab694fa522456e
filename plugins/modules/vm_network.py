# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Define networks of virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_network
short_description: Define networks of virtual machines on a hypervisor
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Defines a libvirt network, starts it, and has it started with the hypervisor.
  - A network that machines use is not restarted to change it, unless O(restart) allows that. Its definition is changed
    all the same, and RV(needs_restart) says that it is not in force yet.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  name:
    description: The network's name.
    type: str
    required: true
  state:
    description: V(present) is defined and active, V(absent) is neither.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(nat) lets machines out by the hypervisor's address, V(isolated) lets them reach each other and the hypervisor.
      - V(bridge) makes them ports of the Linux bridge O(bridge), V(openvswitch) ports of the Open vSwitch bridge
        O(bridge), each with the tag O(vlan).
    type: str
    choices: [nat, isolated, bridge, openvswitch]
    default: nat
  bridge:
    description: The bridge, which must be there when machines start; for V(bridge) and V(openvswitch).
    type: str
    default: ""
  vlan:
    description: The tag of the machines' ports, 1 to 4094; 0 for none. For V(openvswitch).
    type: int
    default: 0
  address:
    description: The hypervisor's own address in the network and its prefix, as V(192.168.100.1/24).
    type: str
    default: ""
  dhcp:
    description: From where to where addresses are leased.
    type: dict
    suboptions:
      start:
        description: The first one.
        type: str
        required: true
      end:
        description: The last one.
        type: str
        required: true
  domain:
    description: The DNS domain of the network.
    type: str
    default: ""
  restart:
    description: Whether a network is restarted to change it, which cuts off the machines on it until they start anew.
    type: bool
    default: false
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Tells the network before and after.
    support: full
seealso:
  - module: commissaire.fleet.vm_network_info
"""

EXAMPLES = r"""
- name: Give machines a tagged port of a switch
  commissaire.fleet.vm_network:
    name: ns_example_com_vlan_10
    mode: openvswitch
    bridge: br0
    vlan: 10

- name: Let machines out
  commissaire.fleet.vm_network:
    name: lab
    address: 192.168.100.1/24
    dhcp: { start: 192.168.100.10, end: 192.168.100.99 }
"""

RETURN = r"""
network:
  description: The network, as M(commissaire.fleet.vm_network_info) tells of it; null when there is none.
  returned: success
  type: dict
needs_restart:
  description: Whether it has to be restarted before the change is in force.
  returned: success
  type: bool
"""

from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import ARGUMENTS, connected, found
from ansible_collections.commissaire.fleet.plugins.module_utils.present_network import Present, observe
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_network import (
    MODES,
    VirtualNetwork,
    network_xml,
    wanted_network,
)


@dataclass(frozen=True)
class Plan:
    """What is to be done, in this order."""

    stop: bool = False
    define: bool = False
    undefine: bool = False
    start: bool = False
    autostart: bool = False
    needs_restart: bool = False

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.stop or self.define or self.undefine or self.start or self.autostart


def plan_network(before: Present | None, wanted: VirtualNetwork | None, *, restart: bool) -> Plan:
    """Decide how `before` becomes `wanted`, None of which is no network."""
    if wanted is None:
        return Plan(stop=before.live is not None, undefine=True) if before else Plan()
    if before is None:
        return Plan(define=True, start=True, autostart=True)
    outdated = before.live is not None and before.live != wanted
    return Plan(
        stop=outdated and restart,
        define=before.defined != wanted,
        start=before.live is None or (outdated and restart),
        autostart=not before.autostart,
        needs_restart=outdated and not restart,
    )


def apply(connection: Any, network: Any, name: str, wanted: VirtualNetwork | None, plan: Plan) -> Any:
    """Do what is planned; return libvirt's network, None when it is gone."""
    if plan.stop:
        network.destroy()
    if plan.define and wanted:
        network = connection.networkDefineXML(network_xml(name, wanted, network.UUIDString() if network else ""))
    if plan.undefine:
        if network.isPersistent():
            network.undefine()
        return None
    if plan.start:
        network.create()
    if plan.autostart:
        network.setAutostart(1)
    return network


def main() -> None:
    """Bring a network into its state."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "mode": {"type": "str", "choices": [*MODES], "default": "nat"},
            "bridge": {"type": "str", "default": ""},
            "vlan": {"type": "int", "default": 0},
            "address": {"type": "str", "default": ""},
            "dhcp": {
                "type": "dict",
                "options": {"start": {"type": "str", "required": True}, "end": {"type": "str", "required": True}},
            },
            "domain": {"type": "str", "default": ""},
            "restart": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    name = parameters["name"]
    wanted = None
    if parameters["state"] == "present":
        try:
            wanted = wanted_network(
                *(parameters[key] for key in ("mode", "bridge", "vlan", "address", "dhcp", "domain"))
            )
        except ValueError as error:
            module.fail_json(msg=f"network {name}: {error}")
    with connected(module) as connection:
        network = found(connection.networkLookupByName, name)
        before = observe(network)
        plan = plan_network(before, wanted, restart=parameters["restart"])
        if plan.changes and not module.check_mode:
            after = observe(apply(connection, network, name, wanted, plan))
        elif plan.changes and wanted:
            live = wanted if not plan.needs_restart else before and before.live
            after = Present(before.uuid if before else "", wanted, live, autostart=True)
        else:
            after = before if wanted else None
        told = [present.facts(name) if present else None for present in (before, after)]
        diff = {"before": told[0] or {}, "after": told[1] or {}}
        module.exit_json(changed=plan.changes, network=told[1], needs_restart=plan.needs_restart, diff=diff)


if __name__ == "__main__":
    main()
