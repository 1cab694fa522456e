# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take or release a place in the window of a rolling play; documented in plugins/modules/rolling_place.py."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from ansible import constants as C  # noqa: N812
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils import place
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import CommandError, Machine, NoContactError
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile, Record
from ansible_collections.commissaire.fleet.plugins.plugin_utils.processes import live_workers
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

ARGUMENTS = {
    "state": {"type": "str", "choices": ["taken", "released"], "required": True},
    "max_unavailable": {"type": "raw", "default": 1},
    "max_failures": {"type": "raw", "default": 0},
    "failed": {"type": "bool", "default": False},
    "out_of_service": {"type": "bool", "default": False},
    "phase": {"type": "str"},
}
POLL_SECONDS = 0.05
TURN_SECONDS = 2.0  # how long a free place is left to the hosts that come first in the play
WARM_UP_AFTER_SECONDS = 0.5  # of waiting; at first the host that got a place needs the processors
WARM_UP_SECONDS = 2.0  # at most, for a login that the next task would spend the time of a place on
LOOK_SECONDS = 5.0  # between looks for a worker that still works for a host with a place
LOOKS = 4  # this many in a row without one, and the hosts with a place have left the play


class ActionModule(ActionBase):
    """Keep the account of places."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return {"taken": bool, "msg": str, "waited_seconds": float} and, with `phase`, a checkpoint."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        variables = task_vars or {}
        host = variables["inventory_hostname"]
        file = PlaceFile(C.DEFAULT_LOCAL_TMP, str(self._task.get_play()._uuid))
        if arguments["state"] == "released":
            with file.change() as record:
                record.places = place.release(record.places, host, arguments["failed"], arguments["out_of_service"])
                kept = host in record.places.kept
            result = {"changed": False, "taken": kept, "msg": "keeps its place" if kept else "gave its place back"}
            if arguments["phase"]:
                result["checkpoint"] = checkpoint(arguments["phase"])
            return result

        everyone = variables["ansible_play_hosts_all"]
        try:
            limits = place.read_limits(arguments["max_unavailable"], arguments["max_failures"], len(everyone))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        gone = frozenset(everyone) - frozenset(variables["ansible_play_hosts"])
        start = time.monotonic()
        decision = _Gate(file, host, everyone.index(host), limits).wait(gone, self._warm_up)
        taken = decision.action == "take"
        result = {
            "changed": False,
            "taken": taken,
            "msg": decision.message,
            "waited_seconds": round(time.monotonic() - start, 2),
        }
        if not taken:
            result["checkpoint"] = checkpoint("waiting", "not_started", decision.message)
            result["_ansible_verbose_always"] = True  # a reader of plain output learns why, too
        elif arguments["phase"]:
            result["checkpoint"] = checkpoint(arguments["phase"])
        return result

    def _warm_up(self) -> None:
        """Log in while the host waits anyway; ssh keeps the connection (ControlPersist) for the tasks that follow.

        Whether that works is not said here: the task that needs the host will say it.
        """
        machine = Machine(self)
        if machine.transport in ("ssh", "smart"):
            with contextlib.suppress(NoContactError, CommandError):
                machine.ask("exit 0", WARM_UP_SECONDS)


class _Gate:
    """One waiting host."""

    def __init__(self, file: PlaceFile, host: str, index: int, limits: place.Limits) -> None:
        self._file = file
        self._host = host
        self._index = index
        self._limits = limits
        self._main = os.getppid()
        self._turn_comes: float | None = None
        self._idle_looks = 0

    def wait(self, gone: frozenset[str], warm_up: Callable[[], None]) -> place.Decision:
        """Return once the host may start, or can't any more; `gone` left the play before this one got here."""
        seen: object = object()
        warm_up_at: float | None = time.monotonic() + WARM_UP_AFTER_SECONDS
        next_look = time.monotonic() + LOOK_SECONDS
        while True:
            version = self._file.version()
            now = time.monotonic()
            if version != seen or (self._turn_comes and now >= self._turn_comes):
                seen = version
                with self._file.change() as record:
                    record.places = place.lose(record.places, gone)
                    decision = self._decide(record, now)
                if decision.action != "wait":
                    return decision
            if warm_up_at and now >= warm_up_at:
                warm_up_at = None
                warm_up()
            if now >= next_look:
                next_look = now + LOOK_SECONDS
                self._look_for_workers()
            if os.getppid() != self._main:
                raise AnsibleActionFail("ansible-playbook ended while this host waited for its place")
            time.sleep(POLL_SECONDS)

    def _decide(self, record: Record, now: float) -> place.Decision:
        """Plan with the record, and write the outcome into it."""
        patient = self._turn_comes is None or now < self._turn_comes
        ahead = record.ahead_of(self._index) if patient else 0
        decision = place.plan_place(record.places, self._host, self._limits, ahead)
        record.arrived.add(self._index)
        record.waiting.pop(self._index, None)
        if decision.action == "take":
            record.places = place.take(record.places, self._host)
        elif decision.action == "wait":
            record.waiting[self._index] = os.getpid()
            free = place.plan_place(record.places, self._host, self._limits).action == "take"
            self._turn_comes = (self._turn_comes or now + TURN_SECONDS) if free else None
        return decision

    def _look_for_workers(self) -> None:
        """Give up on hosts that hold a place, yet left the play without a word (an unreachable runs no rescue).

        When the only workers alive are gates that wait, nobody is at work, and nobody will release anything.
        """
        workers = live_workers(self._main)
        with self._file.change() as record:
            busy = workers is None or workers - set(record.waiting.values())
            self._idle_looks = 0 if busy else self._idle_looks + 1
            if self._idle_looks >= LOOKS:
                record.places = place.lose(record.places, record.places.held)
