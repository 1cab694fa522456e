# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reboot
short_description: Reboot a host, and end when it is really back
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Reboots a Linux host and ends when it shows a new boot id over its Ansible connection and systemd has started
    everything (C(running), or C(degraded) when a unit failed).
  - Python is not needed on the host. Another user than root needs C(sudo) without a password, or C(become).
  - It spends little more time than the machine itself, because it asks the SSH port before it asks ssh. Behind a
    ProxyJump or ProxyCommand, and with other connection plugins, it asks the connection.
  - It never ends C(unreachable), which no C(rescue) could handle. An unreachable host has failed, with ssh's own words.
extends_documentation_fragment:
  - commissaire.fleet.phase
options:
  timeout_seconds:
    description: How long the machine may take, from the order until its services have started.
    type: float
    default: 600
  contact_timeout_seconds:
    description:
      - How long a host that does not answer at first is tried again.
      - For runs that continue an interrupted one, whose hosts may still be rebooting.
    type: float
    default: 0
  operation_id:
    description:
      - Names the operation this reboot is part of. The order writes it, with the boot id, into
        C(/var/lib/commissaire/restart.json) on the host.
      - A host that has been rebooted for this operation already is not rebooted again, only verified.
    type: str
    default: ""
  fail_on_degraded:
    description: Whether a system with failed units counts as failed.
    type: bool
    default: false
  lease_token:
    description:
      - Reboots only under this lease, as M(commissaire.fleet.lease) returned it. The lease then lasts until the host
        must be back, and is as short as before once it is. A host whose lease was lost meanwhile has failed.
    type: int
    default: 0
  lock_timeout_seconds:
    description:
      - How long to wait for a package manager that changes the host (who holds a lock of dpkg, apt or rpm), before the
        host has failed, not rebooted.
    type: float
    default: 600
  reboot_command:
    description:
      - The command that reboots, as a list of arguments.
      - Without it C(systemctl reboot), or C(shutdown -r now) and C(reboot) where that does not work.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Checks that the host answers and that it may be rebooted, and reboots nothing.
    support: full
seealso:
  - module: ansible.builtin.reboot
"""

EXAMPLES = r"""
- name: Reboot the host
  commissaire.fleet.reboot:
    timeout_seconds: 300

- name: Check that the host could be rebooted
  commissaire.fleet.reboot:
  check_mode: true
  changed_when: false
"""

RETURN = r"""
boot_id_before:
  description: The boot id before the reboot, as in C(/proc/sys/kernel/random/boot_id).
  returned: success
  type: str
boot_id_after:
  description: The boot id after it.
  returned: success, not in check mode
  type: str
reboot_seconds:
  description: From the order until the services had started; null when O(operation_id) was resumed.
  returned: success, not in check mode
  type: float
system_state:
  description: V(running), V(degraded), or V(none) on a host without systemd.
  returned: success, not in check mode
  type: str
failed_units:
  description: The units that failed, in a degraded system.
  returned: success, not in check mode
  type: list
  elements: str
resumed:
  description: Whether the host had been rebooted for O(operation_id) already, so that it was only verified.
  returned: success
  type: bool
out_of_service:
  description: Whether the host may be out of service now.
  returned: failure
  type: bool
timings_seconds:
  description:
    - What took how long. C(observe) and C(order) by themselves; since the order C(down) (the port fell silent),
      C(port) (it greeted again) and C(up) (a new boot id, services started).
  returned: always
  type: dict
checkpoint:
  description: As M(commissaire.fleet.checkpoint) returns it.
  returned: success, when O(phase) is given
  type: dict
"""
