# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take or release a place in the window of a rolling play; documented in plugins/modules/rolling_place.py."""

from __future__ import annotations

import contextlib
import time
from dataclasses import astuple
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.commissaire.fleet.plugins.plugin_utils import place, watchdog
from ansible_collections.commissaire.fleet.plugins.plugin_utils.canary import read_canary
from ansible_collections.commissaire.fleet.plugins.plugin_utils.control import plan_control
from ansible_collections.commissaire.fleet.plugins.plugin_utils.failure_domain import (
    arrange,
    play_order,
    read_domains,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.gate import Gate, Rules
from ansible_collections.commissaire.fleet.plugins.plugin_utils.health import read_min_healthy
from ansible_collections.commissaire.fleet.plugins.plugin_utils.health_door import HealthDoor, read_ports
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import CommandError, Machine, NoContactError
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint
from ansible_collections.commissaire.fleet.plugins.plugin_utils.ready_nodes import read_clusters
from ansible_collections.commissaire.fleet.plugins.plugin_utils.shared_value import SharedValue
from ansible_collections.commissaire.fleet.plugins.plugin_utils.windows import OUTSIDE, plan_window, read_calendar

display = Display()

ARGUMENTS = {
    "state": {"type": "str", "choices": ["taken", "released"], "required": True},
    "max_unavailable": {"type": "raw", "default": 1},
    "max_failures": {"type": "raw", "default": 0},
    "failed": {"type": "bool", "default": False},
    "out_of_service": {"type": "bool", "default": False},
    "stop": {"type": "bool", "default": False},
    "skipped": {"type": "bool", "default": False},
    "canary": {"type": "raw", "default": 0},
    "canary_soak_seconds": {"type": "float", "default": 0},
    "canary_ended_at": {"type": "float", "default": 0},
    "control_file": {"type": "path", "default": ""},
    "count_earlier": {"type": "bool", "default": False},
    "when_paused": {"type": "str", "choices": ["wait", "end"], "default": "wait"},
    "maintenance_windows": {"type": "raw", "default": []},
    "blackouts": {"type": "raw", "default": []},
    "outside_window": {"type": "str", "choices": OUTSIDE, "default": "wait"},
    "spread": {"type": "bool", "default": False},
    "failure_domain": {"type": "str", "default": ""},
    "one_domain_at_a_time": {"type": "bool", "default": False},
    "domains_away": {"type": "list", "elements": "str", "default": []},
    "interrupted": {"type": "bool", "default": False},
    "min_healthy": {"type": "raw", "default": 0},
    "min_healthy_of": {"type": "list", "elements": "str", "default": []},
    "min_healthy_nodes": {"type": "dict", "default": {}},
    "kubeconfig": {"type": "path", "default": ""},
    "context": {"type": "str", "default": ""},
    "min_healthy_wait_seconds": {"type": "float", "default": 300},
    "phase": {"type": "str"},
}
WARM_UP_SECONDS = 2.0  # at most, for a login that the next task would spend the time of a place on
STATES = {"refuse": "not_started", "pause": "pending", "leave": "pending"}


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
        if arguments["state"] == "released":
            return self._release(file, host, arguments)
        try:
            order, domains = self._order(arguments, variables)
            left = frozenset(variables["ansible_play_hosts"])
            gone = {name: index for index, name in enumerate(order) if name not in left}
            rules = self._rules(arguments, variables, order, domains, gone, file)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        watchdog.start(file, C.DEFAULT_LOCAL_TMP, play)
        start = time.monotonic()
        decision = Gate(file, host, order.index(host), rules, display.display).wait(gone, self._warm_up)
        taken = decision.action == "take"
        result = {
            "changed": False,
            "taken": taken,
            "msg": decision.message,
            "waited_seconds": round(time.monotonic() - start, 2),
        }
        if not taken:
            data = {"resume_at": decision.until or None} if decision.until or decision.action == "leave" else {}
            result["failed"] = decision.fails
            result["checkpoint"] = checkpoint("waiting", STATES[decision.action], decision.message, data)
            result["_ansible_verbose_always"] = True  # a reader of plain output learns why, too
        elif arguments["phase"]:
            result["checkpoint"] = checkpoint(arguments["phase"])
        return result

    def _release(self, file: PlaceFile, host: str, arguments: dict[str, Any]) -> dict[str, Any]:
        with file.change() as record:
            outcome = (arguments[name] for name in ("failed", "out_of_service", "stop", "skipped"))
            record.release(host, *outcome, now=time.time())
            kept = host in record.places.kept
        result = {"changed": False, "taken": kept, "msg": "keeps its place" if kept else "gave its place back"}
        if arguments["phase"]:
            result["checkpoint"] = checkpoint(arguments["phase"])
        return result

    def _order(self, arguments: dict[str, Any], variables: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Return all hosts of the play in the order in which they start, and the failure domain of each."""
        key, spread, alone = (arguments[name] for name in ("failure_domain", "spread", "one_domain_at_a_time"))
        if spread and alone:
            raise ValueError(
                "host_order is spread, which mixes failure domains, and one_domain_at_a_time; choose one of them"
            )
        if (spread or alone) and not key:
            raise ValueError("failure_domain is missing: the label or variable that tells each host's, such as zone")

        def find() -> dict[str, Any]:
            everyone = variables["ansible_play_hosts_all"]
            hosts = play_order(everyone, variables["ansible_play_batch"], self._task.get_play().order)
            hostvars = variables["hostvars"]
            domains = read_domains(key, {host: hostvars[host] for host in everyone}) if key else {}
            return {"order": arrange(hosts, domains, spread, alone), "domains": domains}

        found = self._shared("order").get(find)
        return found["order"], found["domains"]

    def _rules(
        self,
        arguments: dict[str, Any],
        variables: dict[str, Any],
        order: list[str],
        domains: dict[str, str],
        gone: dict[str, int],
        file: PlaceFile,
    ) -> Rules:
        hosts = len(order)
        calendar = read_calendar(arguments["maintenance_windows"], arguments["blackouts"], arguments["outside_window"])
        at_any_time = self._task.check_mode or arguments["interrupted"]
        return Rules(
            limits=place.read_limits(arguments["max_unavailable"], arguments["max_failures"], hosts),
            canary=read_canary(
                arguments["canary"], arguments["canary_soak_seconds"], arguments["canary_ended_at"], hosts
            ),
            doors=(
                lambda: plan_control(arguments["control_file"]),
                lambda: None if at_any_time else plan_window(calendar, time.time(), file.has_begun()),
            ),
            health=None if at_any_time else self._health(arguments, variables),
            forks=context.CLIARGS.get("forks"),
            waits_when_paused=arguments["when_paused"] == "wait",
            earlier=gone if arguments["count_earlier"] else {},
            domains=domains if arguments["one_domain_at_a_time"] else None,
            domains_away=tuple(arguments["domains_away"]),
        )

    def _health(self, arguments: dict[str, Any], variables: dict[str, Any]) -> HealthDoor | None:
        everyone = variables["ansible_play_hosts_all"]
        hosts = list(dict.fromkeys(arguments["min_healthy_of"])) or everyone
        least = read_min_healthy(arguments["min_healthy"], len(hosts))
        if not least:
            return None
        ports = self._shared("ports").get(lambda: read_ports([*hosts, *everyone], variables["hostvars"]))
        told = (arguments[name] for name in ("kubeconfig", "context", "min_healthy_nodes"))
        clusters = self._shared("clusters").get(
            lambda: [astuple(cluster) for cluster in read_clusters(hosts, variables["hostvars"], *told)]
        )
        seconds = arguments["min_healthy_wait_seconds"]
        return HealthDoor(self._shared("health"), ports, hosts, least, seconds, clusters)

    def _shared(self, name: str) -> SharedValue:
        return SharedValue(C.DEFAULT_LOCAL_TMP, str(self._task.get_play()._uuid), name)

    def _warm_up(self) -> None:
        """Log in while the host waits anyway; ssh keeps the connection (ControlPersist) for the tasks that follow.

        Whether that works is not said here: the task that needs the host will say it.
        """
        machine = Machine(self)
        if machine.transport in ("ssh", "smart"):
            with contextlib.suppress(NoContactError, CommandError):
                machine.ask("exit 0", WARM_UP_SECONDS)
