# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Report how far a host is; documented in plugins/modules/checkpoint.py."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint

ARGUMENTS = {
    "phase": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "choices": ["pending", "running", "finished", "failed", "skipped", "not_started"],
        "default": "running",
    },
    "message": {"type": "str", "default": ""},
    "data": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """Return the checkpoint; nothing is asked of the host."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return {"changed": false, "checkpoint": {"phase", "state", "message", "data"}}."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        return {"changed": False, "checkpoint": checkpoint(**arguments)}
