# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lease
short_description: Keep everybody else off a host while work goes on
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Takes, verifies and releases the lease on a host. Whoever works on hosts by this collection, through the API, AWX or
    a bare ansible-playbook, takes it first, so no two of them work on one host at once.
  - The lease lies on the host, in C(/var/lib/commissaire/lease), and survives reboots. It changes under a lock there,
    by the host's own clock, and each change of its holder is in the host's system log.
  - It is renewed while the play goes on, by a process beside Ansible's workers. When the play ends in any way, or is
    stopped, or can't reach the host, the lease expires after O(seconds). A task that was under way when the play was
    stopped still has it renewed until it ends.
  - Its token grows with each holder. A holder whose lease was taken over or broken fails at its next verification.
  - Needs no Python on the host, only a POSIX shell, C(flock) and, for another user than root, C(sudo) without a
    password.
extends_documentation_fragment:
  - commissaire.fleet.phase
options:
  state:
    description:
      - V(held) takes the lease and keeps it until the play or a task with V(released) ends that.
      - V(verified) fails unless O(token) still holds it.
      - V(released) gives it back; where the host can't be told, it expires by itself.
      - V(broken) takes it away from whoever holds it.
      - V(shown) only reads it.
    type: str
    choices: [held, verified, released, broken, shown]
    default: held
  owner:
    description: Who holds or breaks the lease, for people. By default the user and the controller.
    type: str
    default: ""
  operation_id:
    description: Names the operation. A run of the same name takes the lease over at once.
    type: str
    default: ""
  succeeds:
    description:
      - The O(operation_id) of a run that has ended, or a list of them, whose lease is taken over at once if it is still
        there.
    type: raw
    default: []
  seconds:
    description: How long the lease lasts after its last renewal, 10 to 604800.
    type: int
    default: 60
  token:
    description: The token that RV(token) returned when the lease was taken; for V(verified) and V(released).
    type: int
    default: 0
  wait_seconds:
    description: How long to wait for a lease that somebody else holds.
    type: float
    default: 0
  contact_timeout_seconds:
    description: How long a host that does not answer at first is tried again.
    type: float
    default: 0
  when_silent:
    description:
      - What a host is that can't be reached. V(fail) is a failure, V(skip) is none, V(stop) is one that says so in
        RV(stop).
    type: str
    choices: [fail, skip, stop]
    default: fail
  reason:
    description: Why the lease is broken; required for V(broken).
    type: str
    default: ""
attributes:
  check_mode:
    description: Only reads the lease.
    support: full
seealso:
  - module: commissaire.fleet.rolling_place
"""

EXAMPLES = r"""
- name: Take the lease
  commissaire.fleet.lease:
    state: held
  register: lease

- name: Make sure that the lease is still ours
  commissaire.fleet.lease:
    state: verified
    token: "{{ lease.token }}"

- name: Release the lease
  commissaire.fleet.lease:
    state: released
    token: "{{ lease.token }}"
"""

RETURN = r"""
fit:
  description: V(false).
  returned: when the host can't be reached
  type: bool
stop:
  description: Whether no other host is to start, with O(when_silent=stop).
  returned: when the host can't be reached
  type: bool
token:
  description: The lease's token; with V(broken) and V(shown) that of who held it.
  returned: when O(state) is not V(released)
  type: int
owner:
  description: Who holds or held it, empty when nobody.
  returned: when O(state) is not V(released)
  type: str
msg:
  description: Who holds it, as a sentence; of V(broken) also what was done.
  returned: when O(state) is V(shown), V(broken) or V(released)
  type: str
operation_id:
  description: The operation it is or was held for.
  returned: when O(state) is not V(released)
  type: str
left_seconds:
  description: When it expires, in seconds from now; 0 when nobody holds it.
  returned: when O(state) is not V(released)
  type: int
taken_over_from:
  description: Who held it before and let it expire, empty when nobody.
  returned: when O(state=held)
  type: str
checkpoint:
  description: As M(commissaire.fleet.checkpoint) returns it.
  returned: success, when O(phase) is given
  type: dict
"""
