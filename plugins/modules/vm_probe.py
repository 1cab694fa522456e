# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""See by what a hypervisor runs virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_probe
short_description: See by what a hypervisor runs virtual machines
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Starts a guest of one disk sector by KVM, and sees whether it comes to its end. That takes a second, or ten where
    KVM is there and doesn't work. Neither the guest nor its disk is left.
  - M(commissaire.fleet.vm) does the same for each new machine with O(commissaire.fleet.vm#module:virt_type=auto); to
    know it before spares it that.
extends_documentation_fragment:
  - commissaire.fleet.hypervisor
options:
  pool:
    description: The storage pool of the guest's disk.
    type: str
    default: default
attributes:
  check_mode:
    description: Starts no guest, and tells an empty RV(virt_type) where one would have to be.
    support: full
seealso:
  - module: commissaire.fleet.vm
"""

EXAMPLES = r"""
- name: Does KVM work there?
  commissaire.fleet.vm_probe:
    uri: qemu+ssh://root@hypervisor1.example.com/system
    private_key_file: /etc/commissaire/hypervisor_key
    known_hosts_file: /etc/commissaire/hypervisor_known_hosts
  register: probe
"""

RETURN = r"""
virt_type:
  description: By what it runs them, V(kvm) or V(qemu).
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import ARGUMENTS, connected
from ansible_collections.commissaire.fleet.plugins.module_utils.virt_type import offers_kvm, virt_type_of


def main() -> None:
    """Tell by what a hypervisor runs machines."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "pool": {"type": "str", "default": "default"}}, supports_check_mode=True
    )
    with connected(module) as connection:
        if module.check_mode:
            module.exit_json(changed=False, virt_type="" if offers_kvm(connection) else "qemu")
        module.exit_json(changed=False, virt_type=virt_type_of(connection, "auto", module.params["pool"]))


if __name__ == "__main__":
    main()
