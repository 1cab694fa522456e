# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Set the password of a user within a virtual machine, by its guest agent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_password
short_description: Set the password of a user within a virtual machine
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Lets the guest agent within a running machine set the password of a user who is there.
  - Nobody can tell which password a user has, so this always says that it has changed something. Only a hash
    (O(crypted=true)) is compared with the one that is there, where the agent lets it be read.
extends_documentation_fragment:
  - commissaire.fleet.guest
options:
  user:
    description: The user, V(root) only in the dialect V(nova).
    type: str
    default: root
  password:
    description: The password, in one line, or its hash.
    type: str
    required: true
  crypted:
    description: Whether O(password) is a hash, as in C(/etc/shadow). Not in the dialect V(nova).
    type: bool
    default: false
attributes:
  check_mode:
    description: Changes nothing. The agent is asked whether it can.
    support: full
  diff_mode:
    description: Passwords are not shown.
    support: none
notes:
  - The password is in no log of Ansible's.
  - By V(libvirt) and V(socket) it is sent as it is, past libvirt and QEMU only.
  - In the dialect V(nova) keys are exchanged anew for each password, by Diffie-Hellman with 107 bits. That hides it
    from who reads xenstore in passing, and from nobody who means to read it. It needs the program C(openssl) where the
    module runs.
"""

EXAMPLES = r"""
- name: Give root a password
  commissaire.fleet.guest_password:
    name: ns.example.com
    password: "{{ lookup('ansible.builtin.password', '/dev/null') }}"

- name: Give Ann the hash of hers
  commissaire.fleet.guest_password:
    name: ns.example.com
    user: ann
    password: "{{ ann_hash }}"
    crypted: true
"""

RETURN = r"""
user:
  description: Whose password was set.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_connection import (
    ARGUMENTS,
    REQUIRED_IF,
    connected,
)

SET = "guest-set-user-password"


def main() -> None:
    """Set a password."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "user": {"type": "str", "default": "root"},
            "password": {"type": "str", "required": True, "no_log": True},
            "crypted": {"type": "bool", "default": False},
        },
        required_if=REQUIRED_IF,
        supports_check_mode=True,
    )
    user, password, crypted = (module.params[name] for name in ("user", "password", "crypted"))
    if not password or {"\n", "\r", "\0"} & {*password}:
        module.fail_json(msg="a password has one line; it is empty, or has a line break or a NUL")
    if crypted and ":" in password:
        module.fail_json(msg="a hash has no colon; give the second field of a line of /etc/shadow only")
    with connected(module) as guest:
        changed = set_by_nova(guest, module) if guest.dialect == "nova" else set_by_qemu(guest, module)
    module.exit_json(changed=changed, user=user)


def set_by_nova(guest: Any, module: AnsibleModule) -> bool:
    """Set root's password."""
    if module.params["user"] != "root" or module.params["crypted"]:
        raise GuestError("in the dialect nova only root's password can be set, and no hash; use another transport")
    if module.check_mode:
        guest.version()
    else:
        guest.set_password(module.params["password"])
    return True


def set_by_qemu(guest: Any, module: AnsibleModule) -> bool:
    """Set a user's password, unless the user is known to have this hash."""
    user, password, crypted = (module.params[name] for name in ("user", "password", "crypted"))
    guest.require(SET)
    if crypted and hash_of(guest, user) == password:
        return False
    if not module.check_mode:
        guest.set_password(user, password, crypted)
    return True


def hash_of(guest: Any, user: str) -> str | None:
    """Return the hash of a user's password; None where nobody tells."""
    try:
        guest.require("guest-file-open")
        lines = [line.split(":") for line in guest.agent.read("/etc/shadow").splitlines()]
    except GuestError:
        return None
    return next((fields[1] for fields in lines if len(fields) > 1 and fields[0] == user), None)


if __name__ == "__main__":
    main()
