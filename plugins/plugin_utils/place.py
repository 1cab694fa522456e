# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide who may be out of service: the window and the failure budget of a rolling play, without any I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

SHOWN_HOSTS = 5


@dataclass(frozen=True)
class Limits:
    """The two promises of a rolling play, as numbers of hosts."""

    max_unavailable: int
    max_failures: int


@dataclass(frozen=True)
class Places:
    """Who holds a place of the window, and who failed; a host in `kept` failed out of service and holds on.

    Once there is one in `stopped`, which failed in a way that is to stop the others, no budget helps.
    """

    held: frozenset[str] = field(default_factory=frozenset)
    kept: frozenset[str] = field(default_factory=frozenset)
    failed: frozenset[str] = field(default_factory=frozenset)
    stopped: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Decision:
    """What a host may do: `take` a place, `wait`, `refuse` to start, `pause` or `leave`; `message` says why.

    Who is paused may start later: in this run, or in one that goes on where it was; who leaves only in the latter.
    """

    action: str
    message: str
    until: float = 0  # seconds since the epoch, where it is known when that changes
    fails: bool = False  # whether the run has failed with it, though no host of it may have


def read_limits(max_unavailable: object, max_failures: object, hosts: int) -> Limits:
    """Turn two numbers or percentages of `hosts` into limits, or raise ValueError.

    Percentages round down; `max_unavailable` is at least 1, because a window of none would never end.
    """
    return Limits(
        max_unavailable=max(1, read_limit("max_unavailable", max_unavailable, hosts, lowest=1)),
        max_failures=read_limit("max_failures", max_failures, hosts, lowest=0),
    )


def plan_place(places: Places, host: str, limits: Limits, ahead: int = 0) -> Decision:
    """Decide whether `host` may take a place now, while `ahead` hosts wait that come before it."""
    if host in places.held:
        return Decision("take", "holds a place already")
    refused = over_budget(places, limits)
    if refused:
        return refused
    if len(places.kept) >= limits.max_unavailable:
        return Decision(
            "refuse",
            f"not started: {hosts_of(places.kept)} failed out of service and may still be out of it, "
            f"and max_unavailable={limits.max_unavailable} is all that may",
        )
    free = limits.max_unavailable - len(places.held | places.kept)
    if free <= 0:
        return Decision("wait", f"waits for {hosts_of(places.held)}")
    if ahead >= free:
        return Decision("wait", f"waits for {ahead} hosts before it")
    return Decision("take", f"one of {limits.max_unavailable} hosts that may be out of service")


def over_budget(places: Places, limits: Limits) -> Decision | None:
    """Refuse to start any host once more have failed than may, or one that stops the others; None before that."""
    if places.stopped:
        return Decision("refuse", f"not started: {hosts_of(places.stopped)} was not fit, which stops the others")
    if len(places.failed) <= limits.max_failures:
        return None
    return Decision(
        "refuse",
        f"not started: {hosts_of(places.failed)} failed, and max_failures={limits.max_failures} is all that may",
    )


def take(places: Places, host: str) -> Places:
    """Give `host` a place."""
    return replace(places, held=places.held | {host})


def release(
    places: Places, host: str, failed: bool = False, out_of_service: bool = False, stop: bool = False
) -> Places:
    """Take the place back from `host`, unless it failed while it was out of service; `stop` the others if it failed."""
    return Places(
        held=places.held - {host},
        kept=places.kept | {host} if failed and out_of_service else places.kept,
        failed=places.failed | {host} if failed else places.failed,
        stopped=places.stopped | {host} if failed and stop else places.stopped,
    )


def find(places: Places, host: str) -> Places:
    """Take back what `lose` said of a host that has not left the play after all."""
    return replace(places, held=places.held | {host}, kept=places.kept - {host}, failed=places.failed - {host})


def lose(places: Places, gone: frozenset[str]) -> Places:
    """Count hosts that left the play while they held a place as failed out of service."""
    lost = gone & places.held
    return replace(places, held=places.held - lost, kept=places.kept | lost, failed=places.failed | lost)


def read_limit(name: str, value: object, hosts: int, lowest: int) -> int:
    """Turn a number or a percentage of `hosts`, rounded down, into a number, or raise ValueError."""
    text = str(value).strip()
    problem = f'{name} is {value!r}; give a number from {lowest} up, or a percentage like "25%"'
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]+%?", text, re.ASCII):
        raise ValueError(problem)
    number = int(text.rstrip("%"))
    if number < lowest or (text.endswith("%") and number > 100):
        raise ValueError(problem + (" up to 100%" if number > 100 else ""))
    return hosts * number // 100 if text.endswith("%") else number


def hosts_of(names: frozenset[str]) -> str:
    """Name the first of some hosts, and how many there are besides."""
    shown = sorted(names)[:SHOWN_HOSTS]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
