# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write, remove and fetch a file within a virtual machine, by its guest agent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_file
short_description: Write, remove or fetch a file within a virtual machine
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Lets the guest agent within a running machine write a file as a whole, remove one, or hand one over.
  - What is there already is read and compared first, so that nothing is done a second time.
  - The dialect V(nova) can only write. Nobody can tell in it what is there, so O(state=present) always says that it
    has changed something, and O(mode), O(owner) and O(group) can't be given.
extends_documentation_fragment:
  - commissaire.fleet.guest
options:
  path:
    description: The file within the machine, an absolute path. Folders that are missing are made.
    type: str
    required: true
  state:
    description:
      - V(present) has the content, mode and owner given here, V(absent) is not there.
      - V(fetched) is copied to O(dest).
    type: str
    choices: [present, absent, fetched]
    default: present
  content:
    description: What is to be in it, as a text.
    type: str
  content_b64:
    description: What is to be in it, in base64, for what is no text.
    type: str
  src:
    description: A file where the module runs, which has what is to be in it.
    type: path
  mode:
    description: Its mode, in octal digits. A new file has V(0644) without it, others keep theirs.
    type: raw
  owner:
    description: Whose it is, by name or number. A new file is the agent's user's without it, others keep theirs.
    type: str
  group:
    description: Which group it has, by name or number.
    type: str
  dest:
    description:
      - Where V(fetched) puts it, where the module runs; a file, or a folder. A new file only its owner can read.
    type: path
  secret:
    description:
      - Whether the content is kept out of the diff. Without it, it is when others than its owner and group may not read
        the file, before or after.
    type: bool
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Shows a text of no more than 64 KiB, see O(secret).
    support: full
notes:
  - O(content) and O(content_b64) are in no log of Ansible's.
  - In the dialect V(qemu) files go in pieces, and may be of any size that fits into memory. A file is made beside the
    old one and put in its place. Modes, owners and V(absent) need an agent that allows C(guest-exec). Where it doesn't,
    a file that is there is written in its place, and Commissaire's agent can set modes and owners nevertheless.
  - By V(xenstore) a file must fit into one message, in base64 and with its path, which is about 2,900 bytes. With
    O(value_limit=2048) it is about 1,500. What is larger is refused, with the limit.
"""

EXAMPLES = r"""
- name: Let Ann in
  commissaire.fleet.guest_file:
    name: ns.example.com
    path: /root/.ssh/authorized_keys
    content: "{{ ann_key }}\n"
    mode: "0600"

- name: Fetch a log
  commissaire.fleet.guest_file:
    name: ns.example.com
    path: /var/log/cloud-init.log
    state: fetched
    dest: /tmp/ns-cloud-init.log
"""

RETURN = r"""
file:
  description: The file within the machine, as it is now, or would be.
  returned: success
  type: dict
  contains:
    path:
      description: Where it is.
      type: str
    state:
      description: Whether it is V(present) or V(absent).
      type: str
    size:
      description: How many bytes it has; null where nobody knows.
      type: int
    sha256:
      description: The digest of its content; null where nobody knows.
      type: str
    mode:
      description: Its mode; null where the agent does not tell.
      type: str
    owner:
      description: Whose it is; null where the agent does not tell.
      type: str
    group:
      description: Its group; null where the agent does not tell.
      type: str
fetched_to:
  description: Where the file was put, or would be.
  returned: with O(state=fetched)
  type: str
"""

import base64
import binascii
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_connection import (
    ARGUMENTS,
    REQUIRED_IF,
    connected,
    secret,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_file import (
    MOST_DIFF_BYTES,
    NEW_MODE,
    GuestFile,
    Wanted,
    is_secret,
    octal,
    plan_file,
    shown,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu_file import QemuFiles


def main() -> None:
    """Bring a file into its state."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "path": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "fetched"], "default": "present"},
            "content": {"type": "str", "no_log": True},
            "content_b64": {"type": "str", "no_log": True},
            "src": {"type": "path"},
            "mode": {"type": "raw"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "dest": {"type": "path"},
            "secret": {"type": "bool", "no_log": False},
        },
        mutually_exclusive=[("content", "content_b64", "src")],
        required_if=[*REQUIRED_IF, ("state", "fetched", ["dest"])],
        supports_check_mode=True,
    )
    state, path = module.params["state"], module.params["path"]
    wanted = wanted_file(module)
    if not path.startswith("/") or "\0" in path:
        module.fail_json(msg=f"path {path} is not absolute; begin it with /")
    with connected(module) as guest:
        if guest.dialect == "nova":
            result = inject(guest, module, wanted)
        elif state == "fetched":
            result = fetch(QemuFiles(guest), module)
        elif state == "absent":
            result = remove(QemuFiles(guest), module)
        else:
            result = provide(QemuFiles(guest), module, wanted)
    module.exit_json(**result)


def wanted_file(module: AnsibleModule) -> Wanted:
    """Return what the parameters want. Fails the module where they can't be read."""
    text, encoded = (secret(module, name) for name in ("content", "content_b64"))
    content = None if text is None else text.encode("utf-8", "surrogateescape")
    try:
        if encoded is not None:
            content = base64.b64decode("".join(encoded.split()), validate=True)
        if module.params["src"] is not None:
            content = Path(module.params["src"]).read_bytes()
        mode = octal(module.params["mode"])
    except binascii.Error as error:
        module.fail_json(msg=f"content_b64 is no base64: {error}")
    except OSError as error:
        module.fail_json(msg=f"src {module.params['src']} can't be read where the module runs: {error}")
    except ValueError as error:
        module.fail_json(msg=str(error))
    return Wanted(content, mode, module.params["owner"], module.params["group"])


def provide(files: QemuFiles, module: AnsibleModule, wanted: Wanted) -> dict[str, Any]:
    """Let the file be as it is wanted."""
    path = module.params["path"]
    before = files.look(path, max(MOST_DIFF_BYTES, len(wanted.content or b"")))
    try:
        plan = plan_file(before, wanted)
    except ValueError as error:
        raise GuestError(f"file {path}: {error}") from error
    changed = plan is not None
    if plan and not module.check_mode:
        changed = files.apply(path, plan, before)
    after = planned(before, plan)
    hidden = module.params["secret"]
    if hidden is None:
        hidden = is_secret(after.mode) or (before is not None and is_secret(before.mode))
    told = file_facts(path, after)
    diff = {"before_header": path, "after_header": path}
    diff["before"] = header(before) + (shown(before.content, hidden, before.whole) if before else "")
    diff["after"] = header(after) + shown(after.content, hidden, after.whole)
    if hidden and plan and plan.content is not None:
        diff["after"] += "(it differs)\n"
    return {"changed": changed, "file": told, "diff": diff}


def planned(before: GuestFile | None, plan: Wanted | None) -> GuestFile:
    """Return what a file is like once it is as planned."""
    was = before or GuestFile(b"", NEW_MODE)
    if plan is None:
        return was
    owner = was.owner if plan.owner is None else (plan.owner,)
    group = was.group if plan.group is None else (plan.group,)
    if plan.content is None:
        return GuestFile(was.content, plan.mode or was.mode, owner, group, was.whole)
    return GuestFile(plan.content, plan.mode or was.mode, owner, group)


def header(file: GuestFile | None) -> str:
    """Return what a diff tells of a file beside its content."""
    facts = file.facts() if file else {}
    return "".join(f"{name}: {value}\n" for name, value in facts.items() if value is not None)


def file_facts(path: str, file: GuestFile) -> dict[str, Any]:
    """Return what the module tells of a file."""
    size, digest = (len(file.content), hashlib.sha256(file.content).hexdigest()) if file.whole else (None, None)
    return {"path": path, "state": "present", "size": size, "sha256": digest, **file.facts()}


def remove(files: QemuFiles, module: AnsibleModule) -> dict[str, Any]:
    """Let there be no such file."""
    path = module.params["path"]
    there = files.is_there(path)
    if there and not module.check_mode:
        files.remove(path)
    diff = {"before": {"path": path, "state": "present" if there else "absent"}}
    diff["after"] = {"path": path, "state": "absent"}
    nothing = dict.fromkeys(("size", "sha256", "mode", "owner", "group"))
    return {"changed": there, "file": {"path": path, "state": "absent", **nothing}, "diff": diff}


def fetch(files: QemuFiles, module: AnsibleModule) -> dict[str, Any]:
    """Copy the file to where the module runs."""
    path, dest = module.params["path"], Path(module.params["dest"])
    dest = dest / Path(path).name if dest.is_dir() else dest
    digest, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(dir=module.tmpdir)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in files.pieces(path):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        changed = module.sha256(str(dest)) != digest.hexdigest()
        if changed and not module.check_mode:
            put(module, name, dest)
    except OSError as error:
        raise GuestError(f"its file {path} can't be put to {dest}: {error}") from error
    finally:
        if Path(name).exists():
            Path(name).unlink()
    unknown = dict.fromkeys(("mode", "owner", "group"))
    told = {"path": path, "state": "present", "size": size, "sha256": digest.hexdigest(), **unknown}
    return {"changed": changed, "file": told, "fetched_to": str(dest)}


def put(module: AnsibleModule, temporary: str, dest: Path) -> None:
    """Put a file in its place; one that was not there only its owner can read."""
    if not dest.exists():
        dest.touch(mode=0o600)  # it would get the usual mode
    module.atomic_move(temporary, str(dest))


def inject(guest: Any, module: AnsibleModule, wanted: Wanted) -> dict[str, Any]:
    """Write the file, in the dialect nova."""
    path = module.params["path"]
    if module.params["state"] != "present":
        raise GuestError(f"the dialect nova has nothing for state={module.params['state']}; use another transport")
    if (wanted.mode, wanted.owner, wanted.group) != (None, None, None):
        raise GuestError("the dialect nova can set neither mode, owner nor group; leave them out")
    if wanted.content is None:
        raise GuestError(f"file {path}: give its content, which nobody can read in the dialect nova")
    guest.write(path, wanted.content, check_mode=module.check_mode)
    after = GuestFile(wanted.content)
    hidden = module.params["secret"] is not False
    diff = {"before_header": path, "after_header": path, "before": "(nobody can read what is there)\n"}
    diff["after"] = shown(wanted.content, hidden)
    return {"changed": True, "file": file_facts(path, after), "diff": diff}


if __name__ == "__main__":
    main()
