"""What is shown, in the order it is shown."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .probe import Probe
from .proof import Evidence, complaints, table
from .stage import DemoError, Stage, check_computer
from .terminal import heading, say

CLUSTER = "demo"
ARRIVAL_SECONDS = 120


@dataclass
class Durations:
    """How long each part took: `with took("the restart"):`."""

    parts: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        heading(part)
        started = time.monotonic()
        yield
        self.parts.append((part, time.monotonic() - started))


def show(hosts: int) -> None:
    """Restart `hosts` real machines and prove it. Raise AbsentError, DemoError or LabError; always cleans up."""
    check_computer()
    took = Durations()
    stage = Stage()
    try:
        with took(f"Make {hosts} machine{'s' * (hosts != 1)}"):
            stage.make_lab(hosts)
        with took("Start the server"):
            stage.start_server()
        with took("Add the hosts"):
            _add_hosts(stage)
        with took("Restart the cluster"):
            evidence, probe = _restart(stage)
        with took("Show the record"):
            _show_record(stage)
        with took("Prove it"):
            say(*table(evidence), "", probe.account())
            found = complaints(evidence, allowed_away=1, longest_pause_seconds=probe.longest_pause_seconds)
    finally:
        with took("Clean up"):
            stage.close()
    say(*(f"{seconds:6.1f} s  {part}" for part, seconds in took.parts))
    say(f"{sum(seconds for _, seconds in took.parts):6.1f} s  in all", "")
    if found:
        raise DemoError("the proof fails:\n  " + "\n  ".join(found))
    say("Proven: every host restarted exactly once, and never was more than one away.")


def _add_hosts(stage: Stage) -> None:
    stage.user("commctl", "cluster", "create", CLUSTER)
    for host in stage.lab.hosts:
        stage.user("commctl", "host", "create", "--cluster", CLUSTER, host.address, stage.private_key)
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while {"investigating", "bootstrapping"} & {host["status"] for host in stage.ask("commctl", "host", "list")}:
        if time.monotonic() > deadline:
            raise DemoError(f"the hosts are not bootstrapped after {ARRIVAL_SECONDS} s")
        time.sleep(0.5)
    stage.user("commctl", "host", "list", "-o", "table")
    for failed in stage.ask("commctl", "operation", "list", "--kind", "bootstrap", "--state", "failed"):
        raise DemoError(f"a host can't be used: {failed['message']}")


def _restart(stage: Stage) -> tuple[list[Evidence], Probe]:
    before = {host.name: host.boots() for host in stage.lab.hosts}
    with Probe(stage.lab) as probe:
        stage.user("commctl", "cluster", "restart", "start", CLUSTER, "--watch")
    evidence = [
        Evidence(host.name, host.address, before[host.name], host.boots(), host.boot_id(), probe.outages(host.address))
        for host in stage.lab.hosts
    ]
    return evidence, probe


def _show_record(stage: Stage) -> None:
    stage.user("commctl", "cluster", "restart", "status", CLUSTER)
    [restart] = stage.ask("commctl", "operation", "list", "--kind", "restart")
    stage.user("commctl", "operation", "show", str(restart["id"]))
