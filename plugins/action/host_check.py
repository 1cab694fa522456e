# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check a host before or after work on it; documented in plugins/modules/host_check.py."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils import child_playbook, processes
from ansible_collections.commissaire.fleet.plugins.plugin_utils.control import plan_control
from ansible_collections.commissaire.fleet.plugins.plugin_utils.demands import Finding, failures, read_demands
from ansible_collections.commissaire.fleet.plugins.plugin_utils.examination import examine
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Machine
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint

if TYPE_CHECKING:
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.demands import Demands

DEMANDS = {
    "type": "dict",
    "default": {},
    "options": {
        "units": {"type": "list", "elements": "str"},
        "no_failed_units": {"type": "bool"},
        "disk": {
            "type": "list",
            "elements": "dict",
            "options": {
                "path": {"type": "str", "required": True},
                "free_bytes": {"type": "int"},
                "free_percent": {"type": "float"},
            },
        },
        "no_pending_reboot": {"type": "bool"},
        "command": {"type": "list", "elements": "str"},
        "url": {"type": "str"},
        "url_from": {"type": "str", "choices": ["controller", "host"]},
        "url_statuses": {"type": "list", "elements": "int"},
        "playbook": {"type": "str"},
        "timeout_seconds": {"type": "float"},
        "playbook_timeout_seconds": {"type": "float"},
    },
}
ARGUMENTS = {
    "demands": DEMANDS,
    "later_demands": DEMANDS,
    "when_unfit": {"type": "str", "choices": ["fail", "skip", "stop"], "default": "fail"},
    "wait_seconds": {"type": "float", "default": 0},
    "control_file": {"type": "path", "default": ""},
    "boot_id": {"type": "str", "default": ""},
    "moment": {"type": "str", "choices": ["before", "after"], "default": "before"},
    "phase": {"type": "str"},
}
POLL_SECONDS = 1.0


class ActionModule(ActionBase):
    """Wait, look, judge."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module's documentation promises; every trouble is a failure, never `unreachable`."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        host = (task_vars or {}).get("inventory_hostname", "the host")
        address = str(self._play_context.remote_addr or host)
        try:
            demands = read_demands(arguments["demands"], address)
            read_demands(arguments["later_demands"], address)
        except ValueError as error:
            raise AnsibleActionFail(f"what {host} is to be checked for can't be read: {error}") from error
        self._main = processes.main_process()
        self._wait(arguments["wait_seconds"], arguments["control_file"])
        findings, boot_id = self._examine(host, demands, arguments["boot_id"])
        unfit = failures(findings)
        result: dict[str, Any] = {
            "changed": False,
            "fit": not unfit,
            "findings": [asdict(finding) for finding in findings],
            "boot_id": boot_id,
            "msg": f"{host} is not fit: {unfit}" if unfit else f"{host} is fit",
        }
        if unfit:
            result["failed"] = arguments["when_unfit"] != "skip"
            result["stop"] = arguments["when_unfit"] == "stop"
            result["_ansible_verbose_always"] = True  # a reader of plain output learns why, too
        if arguments["phase"]:
            data = {f"checks_{arguments['moment']}": result["findings"]}
            result["checkpoint"] = checkpoint(arguments["phase"], data=data)
        return result

    def _wait(self, seconds: float, control_file: str) -> None:
        """Wait, but not for the sake of a play that has ended, or that is to start no further host."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._still_wanted()
            held_back = plan_control(control_file)
            if held_back and held_back.action == "refuse":
                return
            time.sleep(min(POLL_SECONDS, left))

    def _examine(self, host: str, demands: Demands, boot_id: str) -> tuple[list[Finding], str]:
        if self._task.check_mode:
            demands = replace(demands, command=())  # nobody knows what it changes
        findings, found = examine(Machine(self), demands, self._still_wanted)
        if boot_id and found and found != boot_id:
            findings.append(Finding("boot id", False, f"{found}, so it has rebooted by itself since {boot_id}"))
        if demands.playbook and not failures(findings):
            why = child_playbook.run(
                demands.playbook, host, context.CLIARGS, demands.playbook_timeout_seconds, self._still_wanted
            )
            findings.append(Finding(f"playbook {demands.playbook}", not why, why or "succeeded"))
        return findings, found

    def _still_wanted(self) -> None:
        if os.getppid() != self._main:
            raise AnsibleActionFail("ansible-playbook ended while this host was checked")
