# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make volumes, which are the disks of virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_volume
short_description: Make volumes in a storage pool of a hypervisor
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Makes volumes of libvirt's storage pools, empty, from an image, or as a copy on write of another volume. They are
    the disks of machines (M(commissaire.fleet.vm)).
  - A volume that is there keeps what is on it. It grows when it is to be larger, and is never shrunk. It is not removed
    while a machine has it, or another volume is a copy on write of it.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  pool:
    description: The storage pool, which must be active.
    type: str
    default: default
  name:
    description: The volume's name.
    type: str
    required: true
  state:
    description: Whether it is there. V(absent) removes what is on it.
    type: str
    choices: [present, absent]
    default: present
  size_gb:
    description: Its size, in GiB. A new one without O(source) or O(backing) needs one; else it is theirs by default.
    type: float
  format:
    description: Its format; of one with O(source), that of the image.
    type: str
    choices: [qcow2, raw]
    default: qcow2
  source:
    description:
      - A file where the module runs, whose content a new volume gets.
      - A qcow2 image that is corrupt, or names another file that has the rest of it, is refused.
    type: path
  backing:
    description: Another volume of the pool, of which a new one is a copy on write; it must not change afterwards.
    type: str
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Tells the volume before and after.
    support: full
"""

EXAMPLES = r"""
- name: Make an empty disk
  commissaire.fleet.vm_volume:
    name: ns.example.com-sda
    size_gb: 8

- name: Make a disk of an image
  commissaire.fleet.vm_volume:
    name: web-sda
    source: /var/lib/images/debian-12-genericcloud-amd64.qcow2
    size_gb: 20
"""

RETURN = r"""
volume:
  description: The volume; null when there is none.
  returned: success
  type: dict
  contains:
    pool:
      description: Its storage pool.
      type: str
    name:
      description: Its name.
      type: str
    path:
      description: Its file on the hypervisor; empty when it would be made.
      type: str
    size_gb:
      description: Its size, in GiB.
      type: float
    allocated_gb:
      description: How much room it takes, in GiB.
      type: float
    format:
      description: Its format.
      type: str
    backing:
      description: The path of the volume that it is a copy on write of; null for none.
      type: str
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import check_unused
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    ARGUMENTS,
    active_pool,
    connected,
    found,
    refresh,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.image import check_qcow2
from ansible_collections.commissaire.fleet.plugins.module_utils.volume import (
    Volume,
    capacity_of,
    plan_capacity,
    read_volume,
    upload,
    volume_xml,
)


def main() -> None:
    """Bring a volume into its state."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "pool": {"type": "str", "default": "default"},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "size_gb": {"type": "float"},
            "format": {"type": "str", "choices": ["qcow2", "raw"], "default": "qcow2"},
            "source": {"type": "path"},
            "backing": {"type": "str"},
        },
        mutually_exclusive=[("source", "backing")],
        supports_check_mode=True,
    )
    pool_name, name = module.params["pool"], module.params["name"]
    with connected(module) as connection:
        pool = active_pool(connection, pool_name)
        volume = found(pool.storageVolLookupByName, name)
        if volume is None:
            refresh(pool)  # somebody may have put it there by hand
            volume = found(pool.storageVolLookupByName, name)
        before = read_volume(volume.XMLDesc(0)) if volume is not None else None
        try:
            changed, after = (_absent if module.params["state"] == "absent" else _present)(module, pool, volume, before)
        except ValueError as error:
            module.fail_json(msg=f"volume {name} of pool {pool_name}: {error}")
        told = [one.facts(pool_name) if one else None for one in (before, after)]
        module.exit_json(changed=changed, volume=told[1], diff={"before": told[0] or {}, "after": told[1] or {}})


def _absent(module: AnsibleModule, pool: Any, volume: Any, before: Volume | None) -> tuple[bool, Volume | None]:
    if volume is not None:
        check_unused(pool.connect(), [(pool.name(), volume.name())])
        if not module.check_mode:
            volume.delete()
    return before is not None, None


def _present(module: AnsibleModule, pool: Any, volume: Any, before: Volume | None) -> tuple[bool, Volume | None]:
    if before is None:
        return True, _make(module, pool)
    capacity = plan_capacity(before, module.params["size_gb"])
    if capacity is None:
        return False, before
    if module.check_mode:
        return True, Volume(before.name, before.path, capacity, before.allocation_bytes, before.format, before.backing)
    volume.resize(capacity)
    return True, read_volume(volume.XMLDesc(0))


def _make(module: AnsibleModule, pool: Any) -> Volume:
    """Make a new volume. One that did not come to its end is not left behind."""
    parameters = module.params
    name, source = parameters["name"], parameters["source"]
    backing = None
    if parameters["backing"]:
        base = found(pool.storageVolLookupByName, parameters["backing"])
        if base is None:
            raise ValueError(f"there is no volume {parameters['backing']} in the pool to be a copy of")
        backing = read_volume(base.XMLDesc(0))
    if source and parameters["format"] == "qcow2":
        check_qcow2(Path(source))
    capacity = _capacity(parameters["size_gb"], source, backing)
    if module.check_mode:
        return Volume(name, "", capacity, 0, parameters["format"], backing.path if backing else "")
    volume = pool.createXML(volume_xml(name, capacity, parameters["format"], backing))
    try:
        if source:
            upload(pool.connect(), volume, Path(source))
            refresh(pool)  # its size is that of the image
            grown = plan_capacity(read_volume(volume.XMLDesc(0)), parameters["size_gb"])
            if grown:
                volume.resize(grown)
    except BaseException:
        volume.delete()
        raise
    return read_volume(volume.XMLDesc(0))


def _capacity(size_gb: float | None, source: str | None, backing: Volume | None) -> int:
    if source and not os.access(source, os.R_OK):
        raise ValueError(f"source {source} can't be read here")
    if size_gb is not None:
        return capacity_of(size_gb)
    if source:
        return Path(source).stat().st_size
    if backing is None:
        raise ValueError("a new one needs size_gb, source or backing")
    return backing.capacity_bytes


if __name__ == "__main__":
    main()
