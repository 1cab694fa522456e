# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take or release a place in the window of a rolling play; documented in plugins/modules/rolling_place.py."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.commissaire.fleet.plugins.plugin_utils import place, watchdog
from ansible_collections.commissaire.fleet.plugins.plugin_utils.canary import read_canary
from ansible_collections.commissaire.fleet.plugins.plugin_utils.control import plan_control
from ansible_collections.commissaire.fleet.plugins.plugin_utils.gate import Gate, Rules
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import CommandError, Machine, NoContactError
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint

display = Display()

ARGUMENTS = {
    "state": {"type": "str", "choices": ["taken", "released"], "required": True},
    "max_unavailable": {"type": "raw", "default": 1},
    "max_failures": {"type": "raw", "default": 0},
    "failed": {"type": "bool", "default": False},
    "out_of_service": {"type": "bool", "default": False},
    "stop": {"type": "bool", "default": False},
    "canary": {"type": "raw", "default": 0},
    "canary_soak_seconds": {"type": "float", "default": 0},
    "canary_ended_at": {"type": "float", "default": 0},
    "control_file": {"type": "path", "default": ""},
    "count_earlier": {"type": "bool", "default": False},
    "when_paused": {"type": "str", "choices": ["wait", "end"], "default": "wait"},
    "phase": {"type": "str"},
}
WARM_UP_SECONDS = 2.0  # at most, for a login that the next task would spend the time of a place on
STATES = {"refuse": "not_started", "pause": "pending"}


class ActionModule(ActionBase):
    """Keep the account of places."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return {"taken": bool, "msg": str, "waited_seconds": float} and, with `phase`, a checkpoint."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        variables = task_vars or {}
        host = variables["inventory_hostname"]
        play = str(self._task.get_play()._uuid)
        file = PlaceFile(C.DEFAULT_LOCAL_TMP, play)
        everyone = variables["ansible_play_hosts_all"]
        if arguments["state"] == "released":
            return self._release(file, host, arguments)
        gone = frozenset(everyone) - frozenset(variables["ansible_play_hosts"])
        rules = self._rules(arguments, everyone, gone)
        watchdog.start(file, C.DEFAULT_LOCAL_TMP, play)
        start = time.monotonic()
        decision = Gate(file, host, everyone.index(host), rules, display.display).wait(gone, self._warm_up)
        taken = decision.action == "take"
        result = {
            "changed": False,
            "taken": taken,
            "msg": decision.message,
            "waited_seconds": round(time.monotonic() - start, 2),
        }
        if not taken:
            data = {"resume_at": decision.until} if decision.until else {}
            result["checkpoint"] = checkpoint("waiting", STATES[decision.action], decision.message, data)
            result["_ansible_verbose_always"] = True  # a reader of plain output learns why, too
        elif arguments["phase"]:
            result["checkpoint"] = checkpoint(arguments["phase"])
        return result

    def _release(self, file: PlaceFile, host: str, arguments: dict[str, Any]) -> dict[str, Any]:
        with file.change() as record:
            outcome = (arguments[name] for name in ("failed", "out_of_service", "stop"))
            record.places = place.release(record.places, host, *outcome)
            if host in record.first:
                record.first[host] = time.time()
            kept = host in record.places.kept
        result = {"changed": False, "taken": kept, "msg": "keeps its place" if kept else "gave its place back"}
        if arguments["phase"]:
            result["checkpoint"] = checkpoint(arguments["phase"])
        return result

    def _rules(self, arguments: dict[str, Any], everyone: list[str], gone: frozenset[str]) -> Rules:
        hosts = len(everyone)
        try:
            return Rules(
                limits=place.read_limits(arguments["max_unavailable"], arguments["max_failures"], hosts),
                canary=read_canary(
                    arguments["canary"], arguments["canary_soak_seconds"], arguments["canary_ended_at"], hosts
                ),
                doors=(lambda: plan_control(arguments["control_file"]),),
                waits_when_paused=arguments["when_paused"] == "wait",
                earlier={host: everyone.index(host) for host in gone} if arguments["count_earlier"] else {},
            )
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error

    def _warm_up(self) -> None:
        """Log in while the host waits anyway; ssh keeps the connection (ControlPersist) for the tasks that follow.

        Whether that works is not said here: the task that needs the host will say it.
        """
        machine = Machine(self)
        if machine.transport in ("ssh", "smart"):
            with contextlib.suppress(NoContactError, CommandError):
                machine.ask("exit 0", WARM_UP_SECONDS)
