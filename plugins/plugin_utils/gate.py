# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold a host of a rolling play until it may start, or can't any more."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible.errors import AnsibleActionFail
from ansible_collections.commissaire.fleet.plugins.plugin_utils import place, processes
from ansible_collections.commissaire.fleet.plugins.plugin_utils.canary import Canary, plan_canary
from ansible_collections.commissaire.fleet.plugins.plugin_utils.failure_domain import plan_domain
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible_collections.commissaire.fleet.plugins.plugin_utils.health_door import HealthDoor
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile, Record

POLL_SECONDS = 0.05
TURN_SECONDS = 2.0  # how long a free place is left to the hosts that come first in the play
WARM_UP_AFTER_SECONDS = 0.5  # of waiting; at first the host that got a place needs the processors
LOOK_SECONDS = 5.0  # between looks for a worker that still works for a host with a place
LOOKS = 4  # this many in a row without one, and the hosts with a place have left the play
DOOR_SECONDS = 1.0  # between looks at a condition that nobody in this play brings about


@dataclass(frozen=True)
class Rules:
    """What a play allows. `doors` are conditions from outside it, each a function that returns None when it is open.

    `health` is another one, for a host that is to go out of service now; its answer depends on who else is. `forks` is
    how many hosts Ansible has at once, None where that is not known.
    `earlier` are the hosts that failed in an earlier play and count in this one, with their positions.
    `domains` are the failure domains of all hosts, where only one may be away at a time; of `domains_away` hosts are
    away since an earlier run.
    """

    limits: place.Limits
    canary: Canary
    doors: tuple[Callable[[], Decision | None], ...] = ()
    health: HealthDoor | None = None
    forks: int | None = None
    waits_when_paused: bool = True
    earlier: dict[str, int] = field(default_factory=dict)
    domains: Mapping[str, str] | None = None
    domains_away: tuple[str, ...] = ()


class Gate:
    """One waiting host, the one at position `index` of the order in which they start."""

    def __init__(self, file: PlaceFile, host: str, index: int, rules: Rules, say: Callable[[str], None]) -> None:
        self._file = file
        self._host = host
        self._index = index
        self._rules = rules
        self._say = say
        self._said = ""
        self._main = processes.main_process()
        self._turn_comes: float | None = None
        self._held_back: Decision | None = None
        self._idle_looks = 0
        self._ended_children = ""

    def wait(self, gone: Mapping[str, int], warm_up: Callable[[], None]) -> Decision:
        """Return once the host may start, or can't any more.

        `gone` left the play before this one got here; with their positions in the order.
        """
        decision = self._wait_for_place(gone, warm_up)
        return self._wait_for_doors(decision) if decision.action == "take" else decision

    def _wait_for_place(self, gone: Mapping[str, int], warm_up: Callable[[], None]) -> Decision:
        seen: object = object()
        warm_up_at: float | None = time.monotonic() + WARM_UP_AFTER_SECONDS
        next_look = time.monotonic() + LOOK_SECONDS
        next_door = time.monotonic() + DOOR_SECONDS
        while True:
            version = self._file.version()
            now = time.monotonic()
            if version != seen or (self._turn_comes and now >= self._turn_comes):
                seen = version
                with self._file.change() as record:
                    if not record.arrived:
                        record.begin(self._rules.earlier, self._rules.canary.hosts, time.time())
                    record.leave(gone)
                    decision = self._decide(record, now)
                if decision.action != "wait":
                    return decision
            if self._held_back and now >= next_door:
                next_door = now + DOOR_SECONDS
                turned_away = self._ask_while_held_back(self._held_back)
                if turned_away:
                    return turned_away
                seen = object()  # a soak ends by the clock, without a change of the record
            if warm_up_at and now >= warm_up_at:
                warm_up_at = None
                warm_up()
            if now >= next_look:
                next_look = now + LOOK_SECONDS
                self._look_for_workers()
            self._pause(POLL_SECONDS)

    def _decide(self, record: Record, now: float) -> Decision:
        """Plan with the record, and write the outcome into it."""
        patient = self._turn_comes is None or now < self._turn_comes
        ahead = record.ahead_of(self._index) if patient else 0
        alone = record.nobody_comes(self._index, self._rules.forks)
        before = sum(other < self._index for other in record.waiting) if alone else record.ahead_of(self._index)
        held_back = plan_canary(self._rules.canary, record.flight(), before, time.time())
        decision = place.plan_place(record.places, self._host, self._rules.limits, ahead)
        domains = self._rules.domains
        away = self._rules.domains_away
        blocked = plan_domain(domains, record.places, self._host, away) if domains is not None else None
        for shut in (blocked, held_back):
            if shut and decision.action != "refuse":
                decision = shut
        record.arrived.add(self._index)
        record.waiting.pop(self._index, None)
        if decision.action == "take":
            record.places = place.take(record.places, self._host)
            if len(record.first) < self._rules.canary.hosts:
                record.first.setdefault(self._host, 0)
        elif decision.action == "wait":
            record.waiting[self._index] = os.getpid()
            shut = blocked or held_back
            free = not shut and place.plan_place(record.places, self._host, self._rules.limits).action == "take"
            self._turn_comes = (self._turn_comes or now + TURN_SECONDS) if free else None
        self._held_back = held_back
        return decision

    def _ask_while_held_back(self, held_back: Decision) -> Decision | None:
        """Ask the doors while other hosts are tried out, which may take hours; leave when they say so."""
        shut = self._shut_door()
        if not shut or self._waits_for(shut):
            self._announce((shut or held_back).message)
            return None
        with self._file.change() as record:
            record.waiting.pop(self._index, None)
        return shut

    def _wait_for_doors(self, taken: Decision) -> Decision:
        """Go through the conditions from outside, with the place in hand: they keep everybody back alike."""
        health = self._rules.health
        while True:
            shut = self._shut_door()
            seen = health.look(self._under_way()) if health and not shut else None
            with self._file.change() as record:
                if health and seen:  # under the lock, because hosts that start at once must know of each other
                    shut = health.plan(seen, frozenset(record.under_way - {self._host}))
                refused = place.over_budget(record.places, self._rules.limits)
                end = refused or (shut if shut and not self._waits_for(shut) else None)
                if end:
                    record.places = place.release(record.places, self._host)
                    record.first.pop(self._host, None)
                elif not shut:
                    record.begun = True
                    record.under_way.add(self._host)
            if end:
                return end
            if not shut:
                return taken
            self._announce(shut.message)
            self._pause(DOOR_SECONDS)

    def _shut_door(self) -> Decision | None:
        return next((found for found in (door() for door in self._rules.doors) if found), None)

    def _under_way(self) -> frozenset[str]:
        with self._file.change() as record:
            return frozenset(record.under_way - {self._host})

    def _waits_for(self, shut: Decision) -> bool:
        return shut.action == "wait" or (shut.action == "pause" and self._rules.waits_when_paused)

    def _announce(self, message: str) -> None:
        """Tell a reader why nothing happens, once a reason; seconds that pass are no new one."""
        reason = re.sub(r"\d+", "", message)
        if reason != self._said:
            self._said = reason
            self._say(f"{self._host} {message}")

    def _pause(self, seconds: float) -> None:
        if os.getppid() != self._main:
            raise AnsibleActionFail("ansible-playbook ended while this host waited for its place")
        time.sleep(seconds)

    def _look_for_workers(self) -> None:
        """Give up on hosts that hold a place, yet left the play without a word (an unreachable runs no rescue).

        When the only workers alive are gates that wait, and no other has come and gone since the last look, nobody is
        at work, and nobody will release anything. On a busy controller there may be seconds between two tasks; while
        it is suspended, it does not look after those that have ended.
        """
        if processes.is_stopped(self._main):
            self._idle_looks = 0
            return
        workers = processes.live_workers(self._main)
        before, self._ended_children = self._ended_children, processes.ended_children(self._main)
        with self._file.change() as record:
            at_work = workers is None or bool(workers - set(record.waiting.values()))
            busy = at_work or self._ended_children != before
            self._idle_looks = 0 if busy else self._idle_looks + 1
            if self._idle_looks >= LOOKS:
                record.give_up()
