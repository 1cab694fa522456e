# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the deployments of a host that boots from an OSTree or a bootc image."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployments
short_description: Read what ostree, rpm-ostree or bootc said of a host's deployments
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Turns what C(ostree admin status), C(rpm-ostree status --json) or C(bootc status --format json) printed into a list
    of one form.
positional: system
options:
  _input:
    description: The command's standard output.
    type: str
    required: true
  system:
    description: Which of them it was.
    type: str
    choices: [ostree, rpm-ostree, bootc]
    default: ostree
"""

EXAMPLES = r"""
- name: Show the version that is booted
  ansible.builtin.debug:
    msg: "{{ (said.stdout | commissaire.fleet.deployments('rpm-ostree') | selectattr('booted') | first).version }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary for each deployment with the keys C(checksum) (of an image its digest), C(version), C(origin) (the
      ref or image it is of) and C(booted), the one that boots next first. What the host does not tell is empty.
    - With rpm-ostree also C(base_checksum); with bootc C(cached), C(staged), C(download_only).
    - The list is empty where bootc manages no image on the host.
  type: list
  elements: dict
"""

from typing import Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.deployments import read_deployments


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"deployments": read_deployments}
