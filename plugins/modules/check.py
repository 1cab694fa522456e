# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: check
short_description: Look whether a host can be used
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Logs in once and reads the host's facts, as the role C(investigate) does, in a single task.
  - Needs no Python on the host, only a POSIX shell, and changes nothing there.
  - It never ends C(unreachable). An unreachable host has failed, with ssh's own words.
options:
  timeout_seconds:
    description: How long the host may take for all of it.
    type: float
    default: 30
  connect_timeout_seconds:
    description: How long its sshd may take to greet; for connections by ssh.
    type: int
    default: 5
attributes:
  check_mode:
    description: It changes nothing, so it does the same.
    support: full
seealso:
  - module: commissaire.fleet.checkpoint
"""

EXAMPLES = r"""
- name: Look whether the host can be used
  commissaire.fleet.check:
    timeout_seconds: 10
"""

RETURN = r"""
facts:
  description: The host's facts, as P(commissaire.fleet.host_facts#filter) returns them.
  returned: success
  type: dict
checkpoint:
  description: As M(commissaire.fleet.checkpoint) returns it, with the facts as its data.
  returned: always
  type: dict
"""
