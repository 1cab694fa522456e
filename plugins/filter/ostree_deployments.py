# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the deployments of an OSTree host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ostree_deployments
short_description: Read the output of C(ostree admin status)
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Turns what C(ostree admin status) printed into a list, because older versions of it can't print JSON.
options:
  _input:
    description: The command's standard output.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the version that is booted
  ansible.builtin.debug:
    msg: "{{ (status.stdout | commissaire.fleet.ostree_deployments | selectattr('booted') | first).version }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary for each deployment with the keys C(osname), C(checksum), C(booted), C(version) and C(origin) (its
      refspec), the one that boots next first. What the host does not tell is empty.
  type: list
  elements: dict
"""

from typing import Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.deployments import read_deployments


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"ostree_deployments": read_deployments}
