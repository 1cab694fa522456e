# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Look whether a host is fit, before or after work on it
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Looks at units, disks, pending reboots, what a command says, a URL, and what a playbook says, until all is as
    demanded or the time is up. All but the last two takes one exchange with the host.
  - Needs no Python on the host, only a POSIX shell, and systemd where units are asked for.
extends_documentation_fragment:
  - commissaire.fleet.phase
options:
  demands:
    description: What the host must be like. Without any it must answer.
    type: dict
    default: {}
    suboptions: &demands
      units:
        description: Units of systemd that must be active.
        type: list
        elements: str
      no_failed_units:
        description: No unit may have failed.
        type: bool
      disk:
        description: What must be free for others than root.
        type: list
        elements: dict
        suboptions:
          path:
            description: A path in the file system.
            type: str
            required: true
          free_bytes:
            description: That many bytes.
            type: int
          free_percent:
            description: That part of its size, up to 100.
            type: float
      no_pending_reboot:
        description:
          - The host may not wait for a reboot, as C(/run/reboot-required), a staged OSTree deployment, C(needrestart),
            C(dnf), C(needs-restarting) or C(zypper) say, as root. A host on which none of them tells is not fit.
        type: bool
      command:
        description:
          - A command, as a list of arguments, that must end with 0 on the host, as the user of the connection or of
            C(become). It is run again until it does.
        type: list
        elements: str
      url:
        description:
          - A URL that must answer a GET; C({host}) in it becomes the host's name or address. Certificates are verified,
            redirections not followed.
        type: str
      url_from:
        description: Who asks. V(host) does it by C(curl) or C(wget).
        type: str
        choices: [controller, host]
      url_statuses:
        description: Which statuses are right; 200 when none are given.
        type: list
        elements: int
      playbook:
        description:
          - The FQCN of a playbook that must succeed on the host. It is run once all else is right, with the inventory,
            the extra variables and the options of the connection of this run, and C(--limit) to the host. Passwords
            that were typed are not handed on, those from files are.
          - It fails when it does nothing on the host, and when it takes longer than C(playbook_timeout_seconds).
        type: str
      timeout_seconds:
        description: How long it may take until all but the playbook is right; 60 when not given, 0 looks once.
        type: float
      playbook_timeout_seconds:
        description: How long the playbook may take; 3600 when not given.
        type: float
  later_demands:
    description: Further demands, for another task. Only a mistake in them is told, before anything is done.
    type: dict
    default: {}
    suboptions: *demands
  when_unfit:
    description:
      - What it means when the host is not fit. V(fail) and V(stop) fail, the latter with RV(stop) for
        M(commissaire.fleet.rolling_place). V(skip) succeeds, with RV(fit) false.
    type: str
    choices: [fail, skip, stop]
    default: fail
  wait_seconds:
    description: How long to wait before the first look.
    type: float
    default: 0
  control_file:
    description: The wait ends as soon as this file says C(stop), as M(commissaire.fleet.rolling_place) reads it.
    type: path
    default: ""
  boot_id:
    description: The host must still have this boot id.
    type: str
    default: ""
  moment:
    description: Under which name, C(checks_before) or C(checks_after), the report has what was found.
    type: str
    choices: [before, after]
    default: before
attributes:
  check_mode:
    description: Looks as well, but runs no command, and the playbook with C(--check).
    support: partial
seealso:
  - module: commissaire.fleet.check
"""

EXAMPLES = r"""
- name: Look whether the host serves again
  commissaire.fleet.host_check:
    demands:
      units: [nginx]
      disk:
        - {path: /var, free_percent: 10}
      url: http://{host}:8080/health
      timeout_seconds: 120
"""

RETURN = r"""
fit:
  description: Whether the host is as demanded.
  returned: always
  type: bool
stop:
  description: Whether no further host may start.
  returned: when the host is not fit
  type: bool
msg:
  description: What is not as demanded.
  returned: always
  type: str
findings:
  description: What was looked at.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What it was.
      type: str
    passed:
      description: Whether it was right.
      type: bool
    found:
      description: What was found.
      type: str
boot_id:
  description: The host's boot id, empty when it did not answer.
  returned: always
  type: str
checkpoint:
  description: As M(commissaire.fleet.checkpoint) returns it, with RV(findings) in its data.
  returned: when O(phase) is given
  type: dict
"""
