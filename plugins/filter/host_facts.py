# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make facts of what the role investigate's probe printed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_facts
short_description: Read the output of the probe of the role investigate
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Turns what C(roles/investigate/files/probe.sh) printed on a host into a dictionary of facts.
options:
  _input:
    description: The probe's standard output.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Read the facts
  ansible.builtin.set_fact:
    investigate_facts: "{{ investigate_probe.stdout | commissaire.fleet.host_facts }}"
"""

RETURN = r"""
_value:
  description:
    - The keys C(os), C(os_version), C(os_family), C(cpus), C(memory_kb), C(space_bytes), C(kernel), C(boot_id),
      C(machine_id), C(hostname), C(python), C(python_version), C(system_state), C(login) (the user of the connection),
      C(privileged) (root, or C(sudo) without a password), C(package_manager), C(atomic) and C(virtualization).
    - A name that the host does not tell is empty, a number or a program it does not have is null.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.commissaire.fleet.plugins.plugin_utils.facts import read_facts


def host_facts(text: str) -> dict[str, Any]:
    """Return the facts, or say what is missing in the way Ansible shows it."""
    try:
        return read_facts(text)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"host_facts": host_facts}
