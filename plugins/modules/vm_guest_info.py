# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask the guest agent of a virtual machine what the machine is like from within."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_guest_info
short_description: Ask the guest agent of a virtual machine
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Asks the QEMU guest agent within a running machine for its addresses, its boot and the public keys of its SSH
    server. These come by way of the hypervisor, so that they can be trusted before anybody has connected to the
    machine.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  name:
    description: The machine's name.
    type: str
    required: true
  wait_seconds:
    description: How long to wait for the agent to answer, and for an address and a key.
    type: int
    default: 0
attributes:
  check_mode:
    description: Never changes anything.
    support: full
  diff_mode:
    description: Never changes anything.
    support: none
"""

EXAMPLES = r"""
- name: Wait for a machine's first boot
  commissaire.fleet.vm_guest_info:
    name: ns.example.com
    wait_seconds: 300
  register: guest
"""

RETURN = r"""
hostname:
  description: How the machine calls itself.
  returned: success
  type: str
boot_id:
  description: The id of its boot.
  returned: success
  type: str
addresses:
  description: Its addresses, IPv4 before IPv6, without loopback and link-local ones.
  returned: success
  type: list
  elements: str
host_keys:
  description: The public keys of its SSH server, as C(ssh-ed25519 AAAA…).
  returned: success
  type: list
  elements: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestAgent, GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_libvirt import LibvirtLines
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    ARGUMENTS,
    HypervisorError,
    connected,
    found,
)

POLL_SECONDS = 1


def main() -> None:
    """Tell what a machine's agent tells."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "wait_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    name, seconds = module.params["name"], module.params["wait_seconds"]
    deadline = time.monotonic() + seconds
    with connected(module) as connection:
        domain = found(connection.lookupByName, name)
        if domain is None:
            raise HypervisorError(f"there is no machine {name}")
        agent = GuestAgent(LibvirtLines(domain))
        while True:
            try:
                told = agent.describe()
                if seconds == 0 or (told["addresses"] and told["host_keys"]):
                    break
                missing = "an address" if not told["addresses"] else "a key of an SSH server"
                why = f"its guest agent answers, but it has not got {missing}"
            except GuestError as error:
                why = str(error)
            if time.monotonic() > deadline:
                raise HypervisorError(f"machine {name}: {why}; waited {seconds} s")
            time.sleep(POLL_SECONDS)
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
