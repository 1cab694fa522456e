# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Begin the network install of a virtual machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_install
short_description: Begin the network install of a virtual machine
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Starts a machine that is defined and off with the kernel and the initial RAM disk of a distribution's installer, by
    virt-install. The module ends when the installer runs; when that reboots, the machine is off, and boots from its
    disk when it is started next.
  - An installer overwrites the machine's disks, each time the module is run.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  name:
    description: The machine's name.
    type: str
    required: true
  location:
    description: The installer's tree, as C(http://deb.example.org/debian/dists/bookworm/main/installer-amd64/).
    type: str
    required: true
  kernel_args:
    description: What the installer's kernel is told, such as where a preseed or kickstart file is.
    type: str
    default: ""
  timeout_seconds:
    description: How long it may take to fetch kernel and RAM disk.
    type: int
    default: 300
attributes:
  check_mode:
    description: Changes nothing, and fetches nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
requirements:
  - virt-install 4.0 or newer (Debian's package virtinst, Red Hat's virt-install) where the module runs
seealso:
  - module: commissaire.fleet.vm
"""

EXAMPLES = r"""
- name: Install Debian
  commissaire.fleet.vm_install:
    name: ns.example.com
    location: http://deb.example.org/debian/dists/bookworm/main/installer-amd64/
    kernel_args: auto=true priority=critical url=http://install.example.com/preseed.cfg
"""

RETURN = r"""
output:
  description: What virt-install said.
  returned: success
  type: str
"""

import re
import shutil
import subprocess
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    ARGUMENTS,
    HypervisorError,
    connected,
    found,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor_access import (
    Access,
    authentication_file,
    way_to,
    with_parameters,
)

LOCATION = re.compile(r"(https?|ftp)://[^\s,]+")
"""Without a comma: what follows one is an option of virt-install's, and may name a file of this machine."""
NOISE = re.compile(r"^(WARNING|Retrieving|Allocating|Creating|Starting|Domain|ERROR)?\s*$")


def main() -> None:
    """Begin an installation."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "location": {"type": "str", "required": True},
            "kernel_args": {"type": "str", "default": ""},
            "timeout_seconds": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    name, location = module.params["name"], module.params["location"]
    if not LOCATION.fullmatch(location):
        module.fail_json(msg=f"location {location} is no URL of http, https or ftp without blanks and commas")
    if not shutil.which("virt-install"):
        module.fail_json(msg="virt-install is not installed here; install Debian's virtinst or Red Hat's virt-install")
    with connected(module) as connection:
        domain = found(connection.lookupByName, name)
        if domain is None and not module.check_mode:
            raise HypervisorError(f"there is no machine {name}; define it first")
        if domain is not None and domain.isActive():
            raise HypervisorError(f"machine {name} runs; an installer would overwrite its disks, so stop it first")
        output = "" if module.check_mode else _install(domain.UUIDString(), module.params)
    module.exit_json(changed=True, output=output)


def _install(uuid: str, parameters: dict[str, Any]) -> str:
    """Start the installer of a machine, and return what is said of it. Raise HypervisorError when it does not start."""
    access = Access.of(parameters)
    try:
        with way_to(parameters["uri"], access) as way, authentication_file(access) as descriptor:
            if descriptor is None:
                return _run(way, uuid, parameters)
            return _run(with_parameters(way, authfile=f"/dev/fd/{descriptor}"), uuid, parameters, descriptor)
    except ValueError as error:
        raise HypervisorError(f"machine {parameters['name']}: nothing was installed: {error}") from error


def _run(uri: str, uuid: str, parameters: dict[str, Any], *descriptors: int) -> str:
    command = ["virt-install", f"--connect={uri}", f"--reinstall={uuid}"]
    command += [f"--location={parameters['location']}", "--osinfo=detect=on,require=off"]
    command += ["--autoconsole=none", "--wait=0"]
    if parameters["kernel_args"]:
        command.append(f"--extra-args={parameters['kernel_args']}")
    seconds = parameters["timeout_seconds"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
            pass_fds=descriptors,
        )
    except subprocess.TimeoutExpired:
        raise HypervisorError(
            f"machine {parameters['name']}: nothing was installed: {parameters['location']} did not give an "
            f"installer's kernel within {seconds} s"
        ) from None
    if done.returncode:
        said = " ".join(line.strip() for line in done.stderr.splitlines() if not NOISE.match(line))
        raise HypervisorError(f"machine {parameters['name']}: nothing was installed: virt-install says: {said}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
