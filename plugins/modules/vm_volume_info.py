# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell of volumes, which are the disks of virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_volume_info
short_description: Tell of the volumes in the storage pools of a hypervisor
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Tells of the volumes of libvirt's active storage pools.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  pool:
    description: Only those of this storage pool; of all that are active without it.
    type: str
  name:
    description: Only volumes of this name.
    type: str
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
seealso:
  - module: commissaire.fleet.vm_volume
"""

EXAMPLES = r"""
- name: Which disks are there?
  commissaire.fleet.vm_volume_info:
    pool: default
  register: disks
"""

RETURN = r"""
volumes:
  description: The volumes, by pool and name, each as M(commissaire.fleet.vm_volume) returns it.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import ARGUMENTS, active_pool, connected
from ansible_collections.commissaire.fleet.plugins.module_utils.volume import read_volume


def main() -> None:
    """Tell of volumes."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "pool": {"type": "str"}, "name": {"type": "str"}}, supports_check_mode=True
    )
    pool_name, name = module.params["pool"], module.params["name"]
    with connected(module, read_only=True) as connection:
        pools = [active_pool(connection, pool_name)] if pool_name else connection.listAllStoragePools()
        volumes = [
            read_volume(volume.XMLDesc(0)).facts(pool.name())
            for pool in pools
            if pool.isActive()
            for volume in pool.listAllVolumes()
            if name in (None, volume.name())
        ]
        module.exit_json(volumes=sorted(volumes, key=lambda one: (one["pool"], one["name"])))


if __name__ == "__main__":
    main()
