# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask the guest agent of a virtual machine what it is, and what the machine is like from within."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_info
short_description: Ask the guest agent of a virtual machine what the machine is like
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Asks the guest agent within a running machine what it is and what it can do, and what the machine is like.
  - What the agent can't tell, or does not want to, is null. In the dialect V(nova) that is all but RV(agent).
extends_documentation_fragment:
  - commissaire.fleet.guest
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
  diff_mode:
    description: Changes nothing anyway.
    support: none
seealso:
  - module: commissaire.fleet.vm_guest_info
"""

EXAMPLES = r"""
- name: What does the machine say of itself?
  commissaire.fleet.guest_info:
    name: ns.example.com
  register: guest

- name: Which agent is in a domain of Xen?
  commissaire.fleet.guest_info:
    transport: xenstore
    domid: 7
"""

RETURN = r"""
agent:
  description: The agent.
  returned: success
  type: dict
  contains:
    name:
      description: Which one it is, C(commissaire-guest) or C(qemu-guest-agent); null in the dialect V(nova).
      type: str
    version:
      description: Its version.
      type: str
    dialect:
      description: Which dialect it was asked in.
      type: str
    features:
      description: What it can be asked for.
      type: list
      elements: str
hostname:
  description: How the machine calls itself.
  returned: success
  type: str
os:
  description: Its operating system, with C(id), C(pretty-name), C(kernel-release) and so on.
  returned: success
  type: dict
boot_id:
  description: The id of its boot.
  returned: success
  type: str
addresses:
  description: Its addresses, IPv4 before IPv6, without loopback and link-local ones.
  returned: success
  type: list
  elements: str
interfaces:
  description: Its network interfaces, with C(name), C(mac) and C(addresses), a list of C(address) and C(prefix).
  returned: success
  type: list
  elements: dict
host_keys:
  description: The public keys of its SSH server, as C(ssh-ed25519 AAAA…).
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_connection import (
    ARGUMENTS,
    REQUIRED_IF,
    connected,
)


def main() -> None:
    """Tell what a machine's agent tells."""
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=REQUIRED_IF, supports_check_mode=True)
    with connected(module) as guest:
        told = guest.describe()
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
