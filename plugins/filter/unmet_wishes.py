# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell where a host's packages are not what was asked for."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unmet_wishes
short_description: Tell which packages have another version than asked for, or changed although they were held
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Compares two lists of a host's packages, as the role upgrade makes them before and after its work, with what was
    asked for.
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
  wanted:
    description: The packages asked for, each a name or C(name=version). One without a version is never missed.
    type: list
    elements: str
    required: true
  hold:
    description: The packages that were to be left alone; C(*) and C(?) are wildcards.
    type: list
    elements: str
    required: true
  separator:
    description: What is between name and architecture in the lists of packages, C(:) with dpkg, C(.) with rpm.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Fail where it is not what was asked for
  ansible.builtin.assert:
    that: >-
      before.stdout
      | commissaire.fleet.unmet_wishes(after.stdout, wanted=['curl=8.5.0'], hold=['linux-*'], separator=':')
      | length == 0
"""

RETURN = r"""
_value:
  description: A sentence for each package that is not what was asked for.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.packages import unmet_wishes


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"unmet_wishes": unmet_wishes}
