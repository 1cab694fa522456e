# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules reach a hypervisor."""

from __future__ import annotations


class ModuleDocFragment:
    """The option `uri`."""

    DOCUMENTATION = r"""
options:
  uri:
    description: The connection to libvirt, as libvirt writes it, from where the module runs.
    type: str
    default: qemu:///system
requirements:
  - libvirt-python, where the module runs
"""
