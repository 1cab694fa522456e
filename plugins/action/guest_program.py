# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put the guest agent's program on a host; documented in plugins/modules/guest_program.py."""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils import guest_program

ARGUMENTS = {
    "dest": {"type": "path", "required": True},
    "mode": {"type": "raw", "default": "0755"},
    "owner": {"type": "str", "default": ""},
    "group": {"type": "str", "default": ""},
    "python": {"type": "str", "default": "/usr/bin/python3"},
}


class ActionModule(ActionBase):
    """Build, compare, copy."""

    TRANSFERS_FILES = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module's documentation promises."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        program, version = guest_program.build(), guest_program.version()
        sha256 = hashlib.sha256(program).hexdigest()
        before = self._sha256(arguments["dest"], task_vars)
        result = self._copy(program, arguments, task_vars)
        if result.get("failed"):
            return {**result, "msg": f"the guest agent can't be put at {arguments['dest']}: {result.get('msg')}"}
        diff = []
        if before != sha256:
            header = f"{arguments['dest']} (program)"
            after = f"version {version}, sha256 {sha256}\n"
            diff = [{"before_header": header, "before": f"sha256 {before}\n" if before else "",
                     "after_header": header, "after": after}]  # fmt: skip
        return {
            "changed": bool(result.get("changed")),
            "diff": diff,
            "dest": arguments["dest"],
            "version": version,
            "sha256": sha256,
            "size": len(program),
        }

    def _sha256(self, path: str, task_vars: dict[str, Any] | None) -> str:
        """Return the checksum of a file of the host's; "" when there is none."""
        told = {"path": path, "checksum_algorithm": "sha256", "follow": True, "get_mime": False}
        found = self._execute_module("ansible.legacy.stat", told, task_vars=task_vars)
        if found.get("failed"):
            raise AnsibleActionFail(f"{path} can't be looked at: {found.get('msg')}")
        return str(found["stat"].get("checksum", ""))

    def _copy(self, program: bytes, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Let Ansible's own copy do it, which compares checksums before and after, and replaces at once."""
        with tempfile.TemporaryDirectory(dir=C.DEFAULT_LOCAL_TMP) as folder:
            source = Path(folder) / "singularity"
            source.write_bytes(program)
            told = {"src": str(source), **{name: arguments[name] for name in ("dest", "mode")}}
            told |= {name: arguments[name] for name in ("owner", "group") if arguments[name]}
            if arguments["python"]:
                told["validate"] = f"{shlex.quote(arguments['python'])} -I %s --version"
            task = self._task.copy()
            task.args = told
            copy = self._shared_loader_obj.action_loader.get(
                "ansible.legacy.copy",
                task=task,
                connection=self._connection,
                play_context=self._play_context,
                loader=self._loader,
                templar=self._templar,
                shared_loader_obj=self._shared_loader_obj,
            )
            copied: dict[str, Any] = copy.run(task_vars=task_vars)
            return copied
