# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep states of virtual machines, and go back to them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_snapshot
short_description: Keep states of a virtual machine, and go back to them
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Makes, removes and goes back to snapshots of a libvirt domain. They are in its qcow2 disks; that of a running
    machine has its memory, too.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  vm:
    description: The machine.
    type: str
    required: true
  name:
    description: The snapshot's name.
    type: str
    required: true
  state:
    description:
      - V(present) makes it unless it is there, V(absent) removes it.
      - V(reverted) goes back to it, and always changes something. All that has happened since is lost.
    type: str
    choices: [present, absent, reverted]
    default: present
  description:
    description: What a new one is for.
    type: str
    default: ""
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Tells the snapshot before and after.
    support: full
seealso:
  - module: commissaire.fleet.vm_snapshot_info
"""

EXAMPLES = r"""
- name: Keep how it is
  commissaire.fleet.vm_snapshot:
    vm: web1
    name: before-upgrade

- name: Go back
  commissaire.fleet.vm_snapshot:
    vm: web1
    name: before-upgrade
    state: reverted
"""

RETURN = r"""
snapshot:
  description: The snapshot, as M(commissaire.fleet.vm_snapshot_info) tells of it; null when there is none.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    ARGUMENTS,
    HypervisorError,
    connected,
    found,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.snapshot import Snapshot, observe, snapshot_xml


def main() -> None:
    """Bring a snapshot into its state."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "vm": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "reverted"], "default": "present"},
            "description": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    name, state = module.params["name"], module.params["state"]
    with connected(module) as connection:
        domain = found(connection.lookupByName, module.params["vm"])
        if domain is None:
            raise HypervisorError(f"there is no machine {module.params['vm']}")
        snapshot = found(domain.snapshotLookupByName, name)
        before = observe(snapshot)
        if state == "reverted" and before is None:
            raise HypervisorError(f"machine {domain.name()} has no snapshot {name} to go back to")
        changed = state == "reverted" or (before is None) == (state == "present")
        after = before
        if changed and module.check_mode:
            after = _planned(before, name, module.params)
        elif changed:
            after = observe(_apply(domain, snapshot, name, module.params))
        told = [one.facts() if one else None for one in (before, after)]
        module.exit_json(changed=changed, snapshot=told[1], diff={"before": told[0] or {}, "after": told[1] or {}})


def _planned(before: Snapshot | None, name: str, parameters: dict[str, Any]) -> Snapshot | None:
    if parameters["state"] == "absent":
        return None
    return before or Snapshot(name, parameters["description"], "", 0, current=True)


def _apply(domain: Any, snapshot: Any, name: str, parameters: dict[str, Any]) -> Any:
    if parameters["state"] == "absent":
        snapshot.delete(0)
        return None
    if parameters["state"] == "reverted":
        domain.revertToSnapshot(snapshot, 0)
        return snapshot
    return domain.snapshotCreateXML(snapshot_xml(name, parameters["description"]), 0)


if __name__ == "__main__":
    main()
