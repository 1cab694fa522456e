# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reboot a host and wait until it is really back; documented in plugins/modules/reboot.py."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Machine
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint
from ansible_collections.commissaire.fleet.plugins.plugin_utils.restart import Restart, RestartError, judge

ARGUMENTS = {
    "timeout_seconds": {"type": "float", "default": 600},
    "contact_timeout_seconds": {"type": "float", "default": 0},
    "operation_id": {"type": "str", "default": ""},
    "fail_on_degraded": {"type": "bool", "default": False},
    "lease_token": {"type": "int", "default": 0},
    "lock_timeout_seconds": {"type": "float", "default": 600},
    "reboot_command": {"type": "list", "elements": "str", "default": []},
    "phase": {"type": "str"},
}


class ActionModule(ActionBase):
    """Observe, order, wait, verify."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module's documentation promises; every trouble is a failure, never `unreachable`."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        restart = Restart(Machine(self), arguments["timeout_seconds"])
        try:
            result = self._restart(restart, arguments)
        except RestartError as error:
            host = (task_vars or {}).get("inventory_hostname", "the host")
            return {
                "failed": True,
                "changed": error.out_of_service,
                "msg": f"{host} {error}",
                "out_of_service": error.out_of_service,
                "timings_seconds": restart.timings,
            }
        if arguments["phase"]:
            result["checkpoint"] = checkpoint(arguments["phase"])
        return {**result, "timings_seconds": restart.timings}

    def _restart(self, restart: Restart, arguments: dict[str, Any]) -> dict[str, Any]:
        if restart.machine.transport == "local":
            raise RestartError("is this controller itself (connection local): not rebooted", out_of_service=False)
        before = restart.observe(arguments["contact_timeout_seconds"])
        resumed = before.rebooted_for(arguments["operation_id"])
        boot_id = before.marked_boot_id if resumed else before.boot_id
        if not resumed and before.missing_privilege:
            raise RestartError(f"may not be rebooted by this user: {before.missing_privilege}", out_of_service=False)
        if self._task.check_mode:
            return {"changed": not resumed, "resumed": resumed, "boot_id_before": boot_id}
        start = time.monotonic()
        if not resumed:
            restart.order(
                boot_id,
                arguments["operation_id"],
                arguments["reboot_command"],
                arguments["lease_token"],
                arguments["lock_timeout_seconds"],
            )
        answer = restart.wait(boot_id, not resumed, arguments["lease_token"])
        state = judge(answer, arguments["fail_on_degraded"])
        return {
            "changed": not resumed,
            "resumed": resumed,
            "boot_id_before": boot_id,
            "boot_id_after": answer["boot_id"],
            "reboot_seconds": None if resumed else round(time.monotonic() - start, 2),
            "system_state": state,
            "failed_units": answer["units"].split(),
        }
