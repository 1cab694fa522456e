# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first hosts of a rolling play, which go alone: what the others wait for, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision, hosts_of, read_limit


@dataclass(frozen=True)
class Canary:
    """How many hosts go first, and for how long all the others look at them afterwards.

    `ended_at` (seconds since the epoch) is when the last one ended, where an earlier run had them all.
    """

    hosts: int = 0
    soak_seconds: float = 0
    ended_at: float = 0


@dataclass(frozen=True)
class Flight:
    """How it went with the canary hosts: when each ended that has (seconds since the epoch), and which failed.

    A host that could not be tried, because a door was shut or it was not fit and is skipped, is none of them.
    """

    ended: dict[str, float] = field(default_factory=dict)
    failed: frozenset[str] = field(default_factory=frozenset)
    under_way: frozenset[str] = field(default_factory=frozenset)


def read_canary(hosts: object, soak_seconds: float, ended_at: float, number_of_hosts: int) -> Canary:
    """Turn a number or percentage of hosts into a canary, or raise ValueError; a percentage is one host at least."""
    number = read_limit("canary", hosts, number_of_hosts, lowest=0)
    least = 1 if str(hosts).strip().endswith("%") and str(hosts).strip() != "0%" else 0
    return Canary(max(number, least), soak_seconds, ended_at)


def plan_canary(canary: Canary, flight: Flight, ahead: int, now: float) -> Decision | None:
    """Decide whether a host must wait for the canary hosts; None when it needn't, or is one of them.

    `ahead` hosts come before it that have not started, and still may.
    """
    left = canary.hosts - len(flight.ended) - len(flight.under_way)
    if ahead < left:
        return None
    if flight.failed:
        return Decision("refuse", f"not started: {hosts_of(flight.failed)} failed, and went first to try it out")
    if left > 0 or flight.under_way:
        return Decision("wait", f"waits for the {canary.hosts} hosts that go first")
    soaked_at = max([canary.ended_at, *flight.ended.values()]) + canary.soak_seconds
    if (canary.hosts or canary.ended_at) and now < soaked_at:
        return Decision(
            "wait", f"waits another {soaked_at - now:.0f} s, to see that the hosts that went first stay fit"
        )
    return None
