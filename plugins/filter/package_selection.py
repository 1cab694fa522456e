# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell which of the packages asked for a host has, and which it holds."""

from __future__ import annotations

DOCUMENTATION = r"""
name: package_selection
short_description: Tell which packages of a list a host is to upgrade, and which it holds
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Compares a list of a host's packages, as the role upgrade makes it, with those that were asked for.
positional: wanted, hold
options:
  _input:
    description: The host's packages, a line C(name version) each.
    type: str
    required: true
  wanted:
    description: The packages asked for, each a name or C(name=version).
    type: list
    elements: str
    required: true
  hold:
    description: The packages to be left alone; C(*) and C(?) are wildcards.
    type: list
    elements: str
    required: true
  separator:
    description: What is between name and architecture in the list of packages, C(:) with dpkg, C(.) with rpm.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what this host would be asked to upgrade
  ansible.builtin.debug:
    msg: "{{ (listed.stdout | commissaire.fleet.package_selection(['openssl', 'curl=8.5'], ['linux*'], ':')).wanted }}"
"""

RETURN = r"""
_value:
  description:
    - C(wanted), those that are installed and not held, in their order, and C(held), the names of the packages that are
      installed and held.
  type: dict
"""

from typing import Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.packages import package_selection


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"package_selection": package_selection}
