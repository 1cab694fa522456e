# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let the guest agent of a virtual machine replace itself by a newer one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_agent_update
short_description: Let the guest agent of a virtual machine replace itself
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Lets Commissaire's agent within a running machine take a newer program, and waits until that one answers.
  - The agent fetches the program from O(url), or it is put into the machine from O(src). With neither, in the dialect
    V(qemu), it is the one that comes with this collection.
  - An agent puts the program back that it had when the new one does not answer.
  - The distribution's C(qemu-guest-agent) is not updated like this; the role C(guest_agent) puts ours into a machine.
extends_documentation_fragment:
  - commissaire.fleet.guest
options:
  url:
    description: From where the agent fetches the program.
    type: str
  md5:
    description: The program's MD5 digest, in hexadecimal digits. In the dialect V(nova) it must be given with O(url).
    type: str
  sha256:
    description: The program's SHA-256 digest. In the dialect V(qemu) it or O(md5) must be given with O(url).
    type: str
  signature:
    description:
      - The program's signature in base64, where the agent wants one (C(update_key)). Not in the dialect V(nova).
    type: str
  src:
    description: The program, where the module runs. In the dialect V(qemu) only.
    type: path
  version:
    description:
      - The program's version. An agent that answers with it already is left alone, and one that does not do so
        afterwards has failed.
    type: str
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Tells the version before and after.
    support: full
"""

EXAMPLES = r"""
- name: Let the agent be the one of this collection
  commissaire.fleet.guest_agent_update:
    name: ns.example.com

- name: Let a Xen domain's agent fetch a newer one
  commissaire.fleet.guest_agent_update:
    transport: xenstore
    name: ns.example.com
    url: http://192.0.2.1/singularity-1.1.0
    md5: 0cc175b9c0f1b6a831c399e269772661
    version: 1.1.0
"""

RETURN = r"""
version_before:
  description: The version that the agent had.
  returned: success
  type: str
version:
  description: The version that it has, or would have; null where nobody knows yet.
  returned: success
  type: str
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_connection import (
    ARGUMENTS,
    REQUIRED_IF,
    called,
    connected,
    reached,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_update import refusal, update, version_of
from ansible_collections.commissaire.fleet.plugins.module_utils.xenstore import XenstoreError

LOOK_SECONDS = 1.0


def main() -> None:
    """Update an agent."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "url": {"type": "str"},
            "md5": {"type": "str"},
            "sha256": {"type": "str"},
            "signature": {"type": "str"},
            "src": {"type": "path"},
            "version": {"type": "str"},
        },
        mutually_exclusive=[("url", "src")],
        required_by={"md5": ["url"], "sha256": ["url"]},
        required_if=REQUIRED_IF,
        supports_check_mode=True,
    )
    given = module.params
    with connected(module) as guest:
        before = version_of(guest)
        changed = given["version"] is None or before != given["version"]
        if changed:
            start(guest, module)
    after = wait(module) if changed and not module.check_mode else given["version"] or (None if changed else before)
    diff = {"before": f"{before}\n", "after": f"{after or 'the version of the program'}\n"}
    module.exit_json(changed=changed, version_before=before, version=after, diff=diff)


def start(guest: Any, module: AnsibleModule) -> None:
    """Let the agent replace itself, unless this is a check."""
    why = refusal(guest, module.params)
    if why:
        raise GuestError(why)
    program = module.params["src"]
    try:
        content = Path(program).read_bytes() if program else None
    except OSError as error:
        raise GuestError(f"src {program} can't be read where the module runs: {error}") from error
    if not module.check_mode:
        update(guest, module.params, content, module.params["timeout_seconds"])


def wait(module: AnsibleModule) -> str:
    """Return the version that the agent answers with in the end. Fails the module for another than is wanted."""
    wanted, seconds = module.params["version"], module.params["timeout_seconds"]
    deadline = time.monotonic() + seconds
    while True:
        try:
            with reached(module) as guest:
                found, why = version_of(guest), ""
            if wanted in (None, found):
                return found
            why = f"it still answers with version {found}, not {wanted}; see its log for why it has put that back"
        except (GuestError, XenstoreError) as error:  # while it starts anew nobody answers
            why = str(error)
        if time.monotonic() > deadline:
            module.fail_json(msg=f"{called(module.params)}: after its update {why}")
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
