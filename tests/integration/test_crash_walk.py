"""Kill something at every step of a rolling upgrade with reboots, and ask the hosts' own journals what came of it.

One walk kills at each step once, the server, a supervisor, a playbook and a worker in turn; `CRASH_WALK=full` kills
each of them at each step.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from lab import Lab
from lab.host import LabHost

from . import debian
from .controller import Controller
from .processes import playbook, supervisor, worker

pytestmark = pytest.mark.integration

PHASES = ("checking", "upgrading", "rebooting", "verifying", "done")
VICTIMS = ("server", "supervisor", "playbook", "worker")
WALKS = len(VICTIMS) if os.environ.get("CRASH_WALK") == "full" else 1
MOST_ROUNDS = 3  # for steps that were over before they were seen
LEASE = re.compile(r"lease (\d+) (taken by .* for operation (\S+)|released)$")

Step = tuple[str, str]
"""A host's address, and the phase it has come to."""


@pytest.fixture(scope="module")
def controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with Controller(lab, tmp_path_factory.mktemp("walk")) as controller:
        controller.add_hosts("web")
        yield controller


@pytest.mark.parametrize("offset", range(WALKS))
def test_whatever_is_killed_at_any_step_no_host_is_worked_on_twice_or_by_two(
    controller: Controller, tmp_path: Path, offset: int
) -> None:
    steps = [(host.address, phase) for host in controller.lab.hosts for phase in PHASES]
    victims = {step: VICTIMS[(number + offset) % len(VICTIMS)] for number, step in enumerate(steps)}
    walk = Walk(controller, victims)
    for number in itertools.count(1):
        versions = [debian.build(tmp_path, f"{number}.{part}", extra="touch /run/reboot-required") for part in (1, 2)]
        debian.install(controller.lab, versions[0])
        debian.publish(controller.lab, versions[1])
        for host in controller.lab.hosts:
            (host.root / "run/reboot-required").unlink(missing_ok=True)
        before = {host.name: len(host.boots()) for host in controller.lab.hosts}

        walk.go()

        for host in controller.lab.hosts:
            assert [(what, version) for what, version, _ in debian.configured(host)] == [
                ("begin", f"{number}.2"),
                ("end", f"{number}.2"),
            ], f"{host.name} was upgraded exactly once"
            assert len(host.boots()) == before[host.name] + 1, f"{host.name} was restarted exactly once"
            assert_one_after_the_other(host)
        assert_never_two_away(controller.lab.hosts)
        if not walk.left or number == MOST_ROUNDS:
            break
    print(f"{len(walk.done)} kills; gone on after {max(walk.done.values()):.1f} s at most")
    assert not walk.left, "steps at which nothing was killed"


class Walk:
    """Operations during which each of `victims` is killed at its step. `done`: seconds until it went on, by step."""

    def __init__(self, controller: Controller, victims: dict[Step, str]) -> None:
        self._controller = controller
        self.left = dict(victims)
        self.done: dict[Step, float] = {}

    def go(self) -> None:
        """Upgrade all hosts once, killing at each step that is left."""
        operation = self._controller.operate("web", "upgrade")
        while True:
            shown = self._controller.ask("GET", operation).json()
            if shown["state"] not in ("queued", "running"):
                break
            now = {(address, row["phase"]) for address, row in self._controller.hosts_of(operation).items()}
            step = next((step for step in self.left if step in now), None)
            if step and shown["state"] == "running":
                self._kill(operation, step, shown["attempt"])
        assert (shown["state"], shown["message"]) == ("finished", "3 upgraded"), shown

    def _kill(self, operation: str, step: Step, attempt: int) -> None:
        victim = self.left[step]
        if victim == "server":
            self._controller.kill()
        else:
            find = {"supervisor": supervisor, "playbook": playbook, "worker": worker}[victim]
            pid = find(self._controller)
            if pid is None:  # just not there: between two tasks, or all is done
                return
            os.kill(pid, signal.SIGKILL)
        del self.left[step]
        begun = time.monotonic()
        if victim == "server":
            self._controller.start()

        def gone_on() -> bool:
            shown = self._controller.ask("GET", operation).json()
            return shown["attempt"] > attempt or shown["state"] not in ("queued", "running")

        self._controller.until(gone_on, 120, f"the operation to go on after the {victim} was killed at {step}")
        self.done[step] = time.monotonic() - begun


def assert_one_after_the_other(host: LabHost) -> None:
    """Fail unless each lease on the host was taken after the one before was given back, or by the same operation."""
    told = host.run(["journalctl", "--output=cat", "--identifier=commissaire"], text=True, capture_output=True).stdout
    found = [match for match in map(LEASE.fullmatch, told.splitlines()) if match]
    assert found, told
    holder, last = None, 0
    for token, what, operation in (match.groups() for match in found):
        if what == "released":
            assert (int(token), holder is not None) == (last, True), told
            holder = None
        else:
            assert int(token) == last + 1, told
            assert holder in (None, operation), told
            holder, last = operation, int(token)
    assert holder is None, told


def assert_never_two_away(hosts: list[LabHost]) -> None:
    """Fail if one host was begun before another was back: by the package's own log and the record of boots."""
    away = []
    for host in hosts:
        begin = min(when for _, _, when in debian.configured(host))
        boot = (host.root / "var/log/boots").read_text().split()[-1]
        away.append((begin, datetime.fromisoformat(boot[:26] + "+00:00").timestamp()))
    away.sort()
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(away)), away
