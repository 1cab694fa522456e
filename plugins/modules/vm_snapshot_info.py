# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell of the states of virtual machines that are kept."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_snapshot_info
short_description: Tell of the snapshots of a virtual machine
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Tells of the snapshots of a libvirt domain, oldest first.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  vm:
    description: The machine.
    type: str
    required: true
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
seealso:
  - module: commissaire.fleet.vm_snapshot
"""

EXAMPLES = r"""
- name: What could we go back to?
  commissaire.fleet.vm_snapshot_info:
    vm: web1
"""

RETURN = r"""
snapshots:
  description: The snapshots.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    description:
      description: What it is for.
      type: str
    state:
      description: The machine's state then.
      type: str
    created:
      description: When it was made, in UTC.
      type: str
    current:
      description: Whether it is the one that the machine goes on from.
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    ARGUMENTS,
    HypervisorError,
    connected,
    found,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.snapshot import observe


def main() -> None:
    """Tell of snapshots."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "vm": {"type": "str", "required": True}}, supports_check_mode=True
    )
    with connected(module, read_only=True) as connection:
        domain = found(connection.lookupByName, module.params["vm"])
        if domain is None:
            raise HypervisorError(f"there is no machine {module.params['vm']}")
        snapshots = [observe(snapshot) for snapshot in domain.listAllSnapshots(0)]
        module.exit_json(snapshots=[one.facts() for one in sorted(snapshots, key=lambda one: (one.created, one.name))])


if __name__ == "__main__":
    main()
