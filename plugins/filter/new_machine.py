# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell which volumes, disks and ports a new virtual machine has."""

from __future__ import annotations

DOCUMENTATION = r"""
name: new_machine
short_description: Tell which volumes, disks and ports a new virtual machine has
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description: Names a volume for each disk, so that the machine's C(sda) is a volume that ends in C(-sda).
positional: _input, sizes_gb
options:
  _input:
    description: The machine's name.
    type: str
    required: true
  sizes_gb:
    description: The sizes of its disks, in GiB; the first of a machine with content may be missing.
    type: list
    elements: float
    required: true
  pool:
    description: The storage pool.
    type: str
    required: true
  networks:
    description: The networks it has ports on.
    type: list
    elements: str
    default: []
  image:
    description: A file that is the first disk's content; empty for none.
    type: str
    default: ""
  backing:
    description: A volume that the first disk is a copy on write of; empty for none.
    type: str
    default: ""
  seeded:
    description: Whether there is a CD-ROM for cloud-init, too.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Tell the disks of a machine
  ansible.builtin.debug:
    msg: "{{ 'ns.example.com' | commissaire.fleet.new_machine([8, 20], pool='default') }}"
"""

RETURN = r"""
_value:
  description: >-
    C(volumes), a list of parameters for M(commissaire.fleet.vm_volume), C(seed), the name of the volume for cloud-init,
    C(disks) and C(networks), for M(commissaire.fleet.vm).
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_DISKS = 26


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"new_machine": new_machine}


def new_machine(
    name: str,
    sizes_gb: list[float],
    *,
    pool: str,
    networks: Sequence[str] = (),
    image: str = "",
    backing: str = "",
    seeded: bool = False,
) -> dict[str, Any]:
    """Return the volumes, the seed, the disks and the ports of the machine `name`."""
    sizes: list[float | None] = list(sizes_gb)
    if image and backing:
        raise AnsibleFilterError(f"machine {name}: its first disk is made of an image or of a volume, not of both")
    if not sizes and (image or backing):
        sizes = [None]
    if not sizes:
        raise AnsibleFilterError(f"machine {name} has no disks; give it the size of one, or an image")
    if len(sizes) > MOST_DISKS:
        raise AnsibleFilterError(f"machine {name}: {len(sizes)} disks are too many, {MOST_DISKS} is the most")
    volumes: list[dict[str, Any]] = [
        {"name": f"{name}-sd{chr(ord('a') + index)}", "pool": pool, **({} if size is None else {"size_gb": size})}
        for index, size in enumerate(sizes)
    ]
    if image:
        volumes[0]["source"] = image
    if backing:
        volumes[0]["backing"] = backing
    disks = [{"pool": pool, "volume": volume["name"]} for volume in volumes]
    seed = f"{name}-seed" if seeded else ""
    if seed:
        disks.append({"pool": pool, "volume": seed, "device": "cdrom", "format": "raw"})
    ports = [{"network": network} for network in networks]
    return {"volumes": volumes, "seed": seed, "disks": disks, "networks": ports}
