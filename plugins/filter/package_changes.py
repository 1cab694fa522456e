# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell which packages changed between two lists of a host's packages."""

from __future__ import annotations

DOCUMENTATION = r"""
name: package_changes
short_description: Tell which packages changed between two lists
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Compares two lists of a host's packages, as the role upgrade makes them before and after its work.
positional: after
options:
  _input:
    description: The packages before, a line C(name version) each.
    type: str
    required: true
  after:
    description: The packages after.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what changed
  ansible.builtin.debug:
    msg: "{{ before.stdout | commissaire.fleet.package_changes(after.stdout) }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary for each package that differs, sorted by name, with the keys C(name), C(before) and C(after).
    - A version is null where the package was not there.
  type: list
  elements: dict
"""

from typing import Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.packages import package_changes


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"package_changes": package_changes}
