"""What is known of a running operation, as its events tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commissaire.commctl.events import Event

Row = dict[str, Any]
"""One host of an operation, as the server sends it: address, state, phase, started_at, finished_at, message."""

ENDED = ("finished", "failed", "cancelled")
"""The states that an operation never leaves."""
STATES = ("finished", "running", "failed", "skipped", "pending", "not_started", "cancelled")
DONE = {
    "restart": "restarted",
    "upgrade": "upgraded",
    "deploy": "deployed",
    "bootstrap": "bootstrapped",
    "investigate": "investigated",
    "vm_create": "created",
    "vm_remove": "removed",
    "vm_network_create": "created",
    "vm_network_remove": "removed",
    "guest_info": "asked",
    "guest_file": "done",
    "guest_password": "given the password",
    "guest_network": "given the network",
    "guest_command": "commanded",
    "guest_agent_update": "updated",
    "guest_agent": "given the agent",
    "vm_probe": "probed",
}
"""What a finished host of an operation of each kind is called."""


@dataclass
class Progress:
    """An operation and its hosts, brought up to date by apply()."""

    operation: dict[str, Any]
    hosts: dict[str, Row] = field(default_factory=dict)

    def apply(self, event: Event) -> Row | None:
        """Take *event* in; return the host's row if its state, phase or message are new."""
        if event.name in ("operation", "end"):
            self.operation = event.data
            return None
        if event.name != "host" or "address" not in event.data:
            return None
        row = event.data
        before = self.hosts.get(row["address"], {})
        self.hosts[row["address"]] = row
        news = any(row.get(key) != before.get(key) for key in ("state", "phase", "message"))
        return row if news else None

    def counts(self) -> dict[str, int]:
        """Return how many hosts are in each state; hosts not heard of yet are pending."""
        if self.ended and isinstance(self.operation.get("hosts"), dict):
            told = self.operation["hosts"]
            return {state: int(told.get(state) or 0) for state in STATES}
        rows = list(self.hosts.values())  # a copy in one step: a display counts while another thread adds
        counted = Counter(str(row.get("state")) for row in rows)
        total = (self.operation.get("hosts") or {}).get("total") or 0
        counted["pending"] += max(0, total - len(rows))
        return {state: counted[state] for state in STATES}

    @property
    def ended(self) -> bool:
        """Whether the operation has come to its end, whichever."""
        return self.operation.get("state") in ENDED

    @property
    def title(self) -> str:
        """The operation in a few words: "restart of cluster prod", "vm_create of west/web1"."""
        cluster, parameters = self.operation.get("cluster"), self.operation.get("parameters") or {}
        what = f"cluster {cluster}" if cluster else ""
        if "hypervisor" in parameters and "name" in parameters:
            what = f"{parameters['hypervisor']}/{parameters['name']}"
        return f"{self.operation.get('kind', 'operation')}{f' of {what}' if what else ''}"

    def summary(self, now: float) -> str:
        """Return the last line: "3 restarted, 0 failed, 0 not started, 41.2 s". *now* is in Unix seconds."""
        counts = self.counts()
        done = DONE.get(str(self.operation.get("kind")), "finished")
        parts = [f"{counts['finished']} {done}", f"{counts['failed']} failed", f"{counts['not_started']} not started"]
        parts += [f"{counts[state]} {state}" for state in ("skipped", "cancelled") if counts[state]]
        return ", ".join([*parts, f"{seconds(self.operation, now) or 0:.1f} s"])


def seconds(row: Row, now: float) -> float | None:
    """Return how long *row* has taken, until *now* (Unix seconds) when it hasn't ended; None before it has begun."""
    begun, ended = row.get("started_at"), row.get("finished_at")
    if not begun:
        return None
    return max(0.0, (_unix(ended) if ended else now) - _unix(begun))


def _unix(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
