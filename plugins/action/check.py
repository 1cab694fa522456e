# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look whether a host can be used; documented in plugins/modules/check.py."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils.check import CheckError, look
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Machine
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint

ARGUMENTS = {
    "timeout_seconds": {"type": "float", "default": 30},
    "connect_timeout_seconds": {"type": "int", "default": 5},
}


class ActionModule(ActionBase):
    """Observe, report."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module's documentation promises; every trouble is a failure, never `unreachable`."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        try:
            facts = look(Machine(self), arguments["timeout_seconds"], arguments["connect_timeout_seconds"])
        except CheckError as error:
            message = f"{(task_vars or {}).get('inventory_hostname', 'the host')} {error}"
            return {"failed": True, "msg": message, "checkpoint": checkpoint("connecting", "failed", message)}
        return {"changed": False, "facts": facts, "checkpoint": checkpoint("done", "finished", data={"facts": facts})}
