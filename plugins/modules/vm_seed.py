# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the volume by which a machine with cloud-init learns who it is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_seed
short_description: Make the volume by which a machine with cloud-init learns who it is
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Makes a volume for cloud-init's datasource NoCloud, an ISO 9660 image named C(cidata). The machine gets it as a
    CD-ROM (O(commissaire.fleet.vm#module:disks[].device)).
  - Who can read the volume can read what is in it. Put no password there.
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
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
  instance_id:
    description: The id of the machine; with another one cloud-init sets it up anew. Without it, the volume's name.
    type: str
  hostname:
    description: The machine's own name.
    type: str
  user_data:
    description: Cloud-init's configuration, the keys of a C(#cloud-config).
    type: dict
    default: {}
  network_config:
    description: Its network, by cloud-init's network configuration of version 1 or 2; without it, DHCP.
    type: dict
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare, for an old volume may hold what is nobody's business.
    support: none
requirements:
  - xorrisofs, genisoimage or mkisofs where the module runs
seealso:
  - module: commissaire.fleet.vm
"""

EXAMPLES = r"""
- name: Say who web is
  commissaire.fleet.vm_seed:
    name: web-seed
    hostname: web.example.com
    user_data:
      ssh_authorized_keys:
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKzmM2k9Yc3vUc2rQy6eVd8dV8KqJ4GzQ1B1WZ0Y2X9f ann@example.com
"""

RETURN = r"""
path:
  description: The volume's file on the hypervisor; empty when there is none.
  returned: success
  type: str
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import check_unused
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    ARGUMENTS,
    HypervisorError,
    active_pool,
    connected,
    found,
    refresh,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.volume import content, upload, volume_xml

PROGRAMS = ("xorrisofs", "genisoimage", "mkisofs")
MOST_BYTES = 4 * 1024 * 1024


def main() -> None:
    """Bring a seed into its state."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "pool": {"type": "str", "default": "default"},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "instance_id": {"type": "str"},
            "hostname": {"type": "str"},
            "user_data": {"type": "dict", "default": {}},
            "network_config": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    with connected(module) as connection:
        pool = active_pool(connection, module.params["pool"])
        volume = found(pool.storageVolLookupByName, module.params["name"])
        if volume is None:
            refresh(pool)
            volume = found(pool.storageVolLookupByName, module.params["name"])
        if module.params["state"] == "absent":
            changed = volume is not None
            if changed:
                check_unused(connection, [(pool.name(), volume.name())])
            if changed and not module.check_mode:
                volume.delete()
            module.exit_json(changed=changed, path="")
        with tempfile.TemporaryDirectory(dir=module.tmpdir) as folder:
            image = _image(Path(folder), module.params)
            changed = volume is None or content(volume, MOST_BYTES) != image.read_bytes()
            if changed and not module.check_mode:
                volume = _put(pool, volume, module.params["name"], image)
        module.exit_json(changed=changed, path=volume.path() if volume is not None else "")


def _image(folder: Path, parameters: dict[str, Any]) -> Path:
    """Make the image, the same for the same parameters. Raise HypervisorError when it can't be made."""
    program = next((found for found in map(shutil.which, PROGRAMS) if found), None)
    if program is None:
        raise HypervisorError(f"none of {', '.join(PROGRAMS)} is installed here; install Debian's xorriso")
    meta = {"instance-id": parameters["instance_id"] or parameters["name"]}
    if parameters["hostname"]:
        meta["local-hostname"] = parameters["hostname"]
    files = {"meta-data": _yaml(meta), "user-data": f"#cloud-config\n{_yaml(parameters['user_data'])}\n"}
    if parameters["network_config"]:
        files["network-config"] = _yaml(parameters["network_config"])
    (folder / "cidata").mkdir()
    for name, text in files.items():
        file = folder / "cidata" / name
        file.write_text(text, encoding="utf-8")
        os.utime(file, (0, 0))
    os.utime(folder / "cidata", (0, 0))
    image = folder / "seed.iso"
    command = [program, "-quiet", "-output", str(image), "-volid", "cidata", "-joliet", "-rational-rock"]
    done = subprocess.run(
        [*command, str(folder / "cidata")],
        env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HypervisorError(f"seed {parameters['name']}: {program} says: {done.stderr.strip()}")
    return image


def _yaml(value: dict[str, Any]) -> str:
    """Return JSON that is YAML: that has no pairs of surrogates for what is beyond 16 bits, nor some characters raw."""
    return re.sub(r"[^ -~]", lambda found: f"\\U{ord(found[0]):08x}", json.dumps(value, ensure_ascii=False))


def _put(pool: Any, volume: Any, name: str, image: Path) -> Any:
    """Let the volume hold the image, and nothing else. One that could not be filled is not left behind."""
    if volume is not None:
        volume.delete()
    volume = pool.createXML(volume_xml(name, image.stat().st_size, "raw", None))
    try:
        upload(pool.connect(), volume, image)
    except BaseException:
        volume.delete()
        raise
    return volume


if __name__ == "__main__":
    main()
