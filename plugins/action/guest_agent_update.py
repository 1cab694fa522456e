# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the module guest_agent_update; without url and src with the program that this collection has."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils.guest_program import build, version
from ansible_collections.commissaire.fleet.plugins.plugin_utils.module_file import run_with_file, speaks_qemu


class ActionModule(ActionBase):
    """Hand the program over, where none is named."""

    TRANSFERS_FILES = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module's documentation promises."""
        super().run(tmp, task_vars)
        arguments = self._task.args
        if arguments.get("url") or arguments.get("src") or not speaks_qemu(arguments):
            return run_with_file(self, task_vars or {})
        return run_with_file(self, task_vars or {}, "src", build(), version=version())
