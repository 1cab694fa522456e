# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give a virtual machine its hostname and addresses, by its guest agent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_network
short_description: Give a virtual machine its hostname and addresses
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Lets the guest agent within a running machine write the configuration of its network as the machine's distribution
    has it, and bring it up. Files that are so already are left alone.
  - An agent that has no command for it (C(qemu-guest-agent)) is given the program of Commissaire's agent for a moment,
    which needs Python 3.8 or newer within the machine, and C(guest-exec) and C(guest-file-open) allowed.
  - In the dialect V(nova) the network is written to the domain's vm-data in xenstore, in one transaction, and the agent
    is told to read it.
extends_documentation_fragment:
  - commissaire.fleet.guest
options:
  hostname:
    description: How the machine calls itself. Without it that stays.
    type: str
  interfaces:
    description: All its network interfaces that are configured, by vm-data's names.
    type: list
    elements: dict
    default: []
    suboptions:
      mac:
        description:
          - The interface's address, by which it is found.
          - Write it in quotes. YAML takes V(52:54:00:12:34:56) for a number to the base of 60.
        type: str
        required: true
      label:
        description: What the network is called.
        type: str
        default: public
      ips:
        description: Its IPv4 addresses.
        type: list
        elements: dict
        default: []
        suboptions:
          ip:
            description: The address.
            type: str
            required: true
          netmask:
            description: The network's mask, as V(255.255.255.0), or the length of its prefix.
            type: str
            required: true
          gateway:
            description: The address of the network's gateway.
            type: str
          enabled:
            description: Whether the interface has the address.
            type: bool
            default: true
      ip6s:
        description: Its IPv6 addresses.
        type: list
        elements: dict
        default: []
        suboptions:
          ip:
            description: The address.
            type: str
            required: true
          netmask:
            description: The length of the network's prefix.
            type: str
            required: true
          gateway:
            description: The address of the network's gateway.
            type: str
          enabled:
            description: Whether the interface has the address.
            type: bool
            default: true
      gateway:
        description: The IPv4 address of the way to everywhere; of one interface only.
        type: str
      gateway_v6:
        description: The IPv6 address of the way to everywhere; of one interface only.
        type: str
      routes:
        description: Further routes.
        type: list
        elements: dict
        default: []
        suboptions:
          route:
            description: The network's address.
            type: str
            required: true
          netmask:
            description: The network's mask, or the length of its prefix.
            type: str
            required: true
          gateway:
            description: The address of the way to it.
            type: str
            required: true
      dns:
        description: The addresses of resolvers.
        type: list
        elements: str
        default: []
  agent_program:
    description: The program of Commissaire's agent, where the module runs. Ansible puts it there by itself.
    type: path
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description:
      - In the dialect V(qemu) it shows the files within the machine that change, where the agent allows C(guest-exec).
        Commissaire's agent may not; then nobody knows whether anything changes, and the module says that it does.
      - In the dialect V(nova) it shows vm-data before and after.
    support: full
notes:
  - In the dialect V(nova) the module tells a change by vm-data. The agent is told to read it each time.
  - V(nova) on O(transport=socket) is refused, for there is no vm-data.
"""

EXAMPLES = r"""
- name: Give a machine a new address
  commissaire.fleet.guest_network:
    name: ns.example.com
    hostname: ns.example.com
    interfaces:
      - mac: "52:54:00:12:34:56"
        ips:
          - {ip: 192.0.2.10, netmask: 255.255.255.0}
        gateway: 192.0.2.1
        ip6s:
          - {ip: "2001:db8::10", netmask: "64"}
        gateway_v6: 2001:db8::1
        dns: [192.0.2.53]
"""

RETURN = r"""
vm_data:
  description: What the agent was told, as vm-data has it.
  returned: success
  type: dict
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError, GuestRefused
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_connection import (
    ARGUMENTS,
    REQUIRED_IF,
    connected,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu_network import QemuNetwork
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_vm_data import shown, vm_data

ADDRESS = {
    "ip": {"type": "str", "required": True},
    "netmask": {"type": "str", "required": True},
    "gateway": {"type": "str"},
    "enabled": {"type": "bool", "default": True},
}
ROUTE = {name: {"type": "str", "required": True} for name in ("route", "netmask", "gateway")}
INTERFACE = {
    "mac": {"type": "str", "required": True},
    "label": {"type": "str", "default": "public"},
    "ips": {"type": "list", "elements": "dict", "default": [], "options": ADDRESS},
    "ip6s": {"type": "list", "elements": "dict", "default": [], "options": ADDRESS},
    "gateway": {"type": "str"},
    "gateway_v6": {"type": "str"},
    "routes": {"type": "list", "elements": "dict", "default": [], "options": ROUTE},
    "dns": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """Bring a machine's network into its state."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "hostname": {"type": "str"},
            "interfaces": {"type": "list", "elements": "dict", "default": [], "options": INTERFACE},
            "agent_program": {"type": "path"},
        },
        required_if=REQUIRED_IF,
        supports_check_mode=True,
    )
    try:
        wanted = vm_data(module.params["hostname"], module.params["interfaces"])
    except ValueError as error:
        module.fail_json(msg=f"the network can't be like this: {error}")
    if not wanted:
        module.fail_json(msg="neither hostname nor interfaces are given; give at least one of them")
    with connected(module) as guest:
        changed, diff = (by_nova if guest.dialect == "nova" else by_qemu)(guest, wanted, module)
    module.exit_json(changed=changed, vm_data=shown(wanted), diff=diff)


def by_qemu(guest: Any, wanted: dict[str, str], module: AnsibleModule) -> tuple[bool, dict[str, Any]]:
    """Let the agent, or ours put beside it, set the network; return whether that changes anything, and what."""
    place = module.params["agent_program"]
    program = Path(place).read_bytes() if place else None
    with QemuNetwork(guest, program, module.params["timeout_seconds"]) as network:
        differs = network.differs(wanted)
        changed = differs != ""
        if changed and not module.check_mode:
            changed = network.reset(wanted)
    return changed, {"prepared": differs if differs is not None else "(its agent lets nobody look)\n"}


def by_nova(guest: Any, wanted: dict[str, str], module: AnsibleModule) -> tuple[bool, dict[str, Any]]:
    """Write vm-data, and let the agent read it; it is put back when the agent refuses it."""
    channel = guest.channel
    if not hasattr(channel, "write_vm_data"):
        raise GuestError("in the dialect nova a network is told of in xenstore only; use another transport or dialect")
    before = channel.vm_data()
    after = merged(before, wanted)
    if not module.check_mode:
        channel.write_vm_data(after)
        try:
            guest.reset_network()
        except GuestRefused:
            channel.write_vm_data(before)
            raise
    return before != after, {"before": shown(before), "after": shown(after)}


def merged(before: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    """Return vm-data with what is wanted; what nothing was said of (hostname, all interfaces) stays."""
    stays = [kind for kind in ("hostname", "networking/") if not any(name.startswith(kind) for name in wanted)]
    return {**{name: value for name, value in before.items() if name.startswith(tuple(stays))}, **wanted}


if __name__ == "__main__":
    main()
