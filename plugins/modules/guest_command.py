# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a command within a virtual machine, by its guest agent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_command
short_description: Run a command within a virtual machine
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Lets the guest agent within a running machine run a command as the user that the agent is, which is root. There is
    no shell.
  - The agent must allow C(guest-exec). The one of Red Hat's distributions does not, as it comes.
  - The dialect V(nova) has nothing for it.
extends_documentation_fragment:
  - commissaire.fleet.guest
options:
  argv:
    description: The program and its arguments.
    type: list
    elements: str
    required: true
  stdin:
    description: What the command reads.
    type: str
  environment:
    description: Variables, beside which the command gets a C(PATH) only. Without any it has the agent's environment.
    type: dict
    default: {}
  timeout:
    description: How many seconds the command may take. One that takes longer is killed, what it has started is not.
    type: int
    default: 300
  hide_secrets:
    description:
      - Whether what O(stdin) and O(environment) hold is hidden where the command says it. Without that its output is
        told as it is; keep it out of logs then.
    type: bool
    default: true
attributes:
  check_mode:
    description: The command is not run.
    support: full
  diff_mode:
    description: Nobody knows what a command changes.
    support: none
notes:
  - O(stdin) and O(environment) are in no log of Ansible's. The command's arguments and output are.
  - Agents keep some megabytes of output (qemu-guest-agent 16 MiB) and drop the rest, see RV(truncated).
"""

EXAMPLES = r"""
- name: Ask systemd
  commissaire.fleet.guest_command:
    name: ns.example.com
    argv: [systemctl, is-system-running]
  register: answer
  changed_when: false
"""

RETURN = r"""
rc:
  description: With what the command has ended; 128 and the number of the signal that ended it.
  returned: when the command was run
  type: int
stdout:
  description: What it has said.
  returned: when the command was run
  type: str
stdout_lines:
  description: The same in lines.
  returned: when the command was run
  type: list
  elements: str
stderr:
  description: What it has complained of.
  returned: when the command was run
  type: str
stderr_lines:
  description: The same in lines.
  returned: when the command was run
  type: list
  elements: str
truncated:
  description: Whether it has said more than the agent keeps.
  returned: when the command was run
  type: bool
replaced:
  description: Whether some of what it has said is no UTF-8, and stands there as U+FFFD.
  returned: when the command was run
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_connection import (
    ARGUMENTS,
    REQUIRED_IF,
    connected,
    secret,
)

SHORTEST_SECRET = 8
"""What is shorter stays in the output where it happens to be."""


def main() -> None:
    """Run a command."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "argv": {"type": "list", "elements": "str", "required": True},
            "stdin": {"type": "str", "no_log": True},
            "environment": {"type": "dict", "default": {}, "no_log": True},
            "timeout": {"type": "int", "default": 300},
            "hide_secrets": {"type": "bool", "default": True, "no_log": False},
        },
        required_if=REQUIRED_IF,
        supports_check_mode=True,
    )
    argv = module.params["argv"]
    stdin, environment = (secret(module, name, SHORTEST_SECRET) for name in ("stdin", "environment"))
    if not module.params["hide_secrets"]:
        module.no_log_values = set()
    if not argv or not argv[0]:
        module.fail_json(msg="argv is empty; give a program")
    with connected(module) as guest:
        if guest.dialect == "nova":
            raise GuestError("the dialect nova has nothing that runs commands; use another transport")
        guest.require("guest-exec")
        if module.check_mode:
            module.exit_json(changed=False, skipped=True, msg="a command is not run in check mode")
        data = None if stdin is None else stdin.encode()
        ended = guest.run(argv, data, {key: str(value) for key, value in environment.items()}, module.params["timeout"])
    stdout, stderr = (output.decode(errors="replace") for output in (ended.stdout, ended.stderr))
    told = {"changed": True, "rc": ended.rc, "stdout": stdout, "stderr": stderr, "truncated": ended.truncated}
    told["replaced"] = (stdout.encode(), stderr.encode()) != (ended.stdout, ended.stderr)
    told.update(stdout_lines=stdout.splitlines(), stderr_lines=stderr.splitlines())
    if ended.rc:
        module.fail_json(
            msg=f"{argv[0]} has ended with {ended.rc}: {stderr.strip()[-500:] or 'it says nothing'}", **told
        )
    module.exit_json(**told)


if __name__ == "__main__":
    main()
