# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the output of zypper."""

from __future__ import annotations

DOCUMENTATION = r"""
name: zypper_updates
short_description: Read which packages C(zypper --xmlout) would change, or lists as updates
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Reads what C(list-updates), or a dry run of C(update) or C(patch), printed.
options:
  _input:
    description: The command's standard output.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what zypper would upgrade
  ansible.builtin.debug:
    msg: "{{ dry_run.stdout | commissaire.fleet.zypper_updates }}"
"""

RETURN = r"""
_value:
  description: C(name old -> new) of each package, C(name new) of one that is new.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.commissaire.fleet.plugins.plugin_utils.zypper import zypper_updates


def read_updates(text: str) -> list[str]:
    """Return the updates, or say what is wrong in the way Ansible shows it."""
    try:
        return zypper_updates(text)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"zypper_updates": read_updates}
