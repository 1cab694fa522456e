# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the guest agent's program on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
name: guest_program
short_description: Build the guest agent's program
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Builds the program of Commissaire's guest agent, for M(commissaire.fleet.guest_file) to write where nobody gets in
    by ssh. Where somebody does, M(commissaire.fleet.guest_program) puts it there.
  - The same collection always builds the same bytes, whoever builds them.
options: {}
seealso:
  - module: commissaire.fleet.guest_program
"""

EXAMPLES = r"""
- name: Write the program into a machine
  commissaire.fleet.guest_file:
    name: ns.example.com
    path: /usr/local/lib/singularity/singularity
    content_b64: "{{ lookup('commissaire.fleet.guest_program').content_b64 }}"
    mode: "0755"
"""

RETURN = r"""
_raw:
  description:
    - The keys C(version), C(sha256), and C(content_b64), the program in base64.
  type: list
  elements: dict
"""

import base64
import hashlib
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils import guest_program


class LookupModule(LookupBase):
    """Ansible's way to find lookups."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, str]]:
        """Return the program."""
        program = guest_program.build()
        told = {"version": guest_program.version(), "sha256": hashlib.sha256(program).hexdigest()}
        return [{**told, "content_b64": base64.b64encode(program).decode()}]
