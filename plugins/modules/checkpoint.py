# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkpoint
short_description: Report how far a host is
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Puts a host's phase into the task's result, where the Commissaire API finds it and records it.
  - Outside the API it does nothing. It runs on the controller and asks nothing of the host.
options:
  phase:
    description: What the host is going through, for example V(checking).
    type: str
    required: true
  state:
    description: Whether the host still has work to do, and how it ended if not.
    type: str
    choices: [pending, running, finished, failed, skipped, not_started]
    default: running
  message:
    description: What a person should know. For V(state=failed) the host, the phase and the cause.
    type: str
    default: ""
  data:
    description: What a program should know.
    type: dict
    default: {}
attributes:
  check_mode:
    description: It changes nothing, so it does the same.
    support: full
seealso:
  - module: commissaire.fleet.rolling_place
"""

EXAMPLES = r"""
- name: Report that the host is being drained
  commissaire.fleet.checkpoint:
    phase: draining

- name: Report the end
  commissaire.fleet.checkpoint:
    phase: done
    state: finished
    data:
      boot_id_after: "{{ restart_reboot.boot_id_after }}"
"""

RETURN = r"""
checkpoint:
  description: The report.
  returned: always
  type: dict
  contains:
    phase:
      description: As given.
      type: str
      returned: always
    state:
      description: As given.
      type: str
      returned: always
    message:
      description: As given.
      type: str
      returned: always
    data:
      description: As given.
      type: dict
      returned: always
"""
