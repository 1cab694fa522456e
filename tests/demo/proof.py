"""What the hosts' own boot records and the probe's log say together. Nothing here touches a machine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_PAUSE_SECONDS = 2.0  # less often asked than that, the probe proves nothing


@dataclass(frozen=True)
class Evidence:
    """One host: boot ids it recorded until before and after the restart, the one it runs under now, when it was away.

    `outages` are (start, end) in seconds since the probe began; the end is infinite for a host that did not come back.
    """

    name: str
    address: str
    boots_before: Sequence[str]
    boots_after: Sequence[str]
    boot_id: str | None
    outages: Sequence[tuple[float, float]]

    @property
    def restarts(self) -> int:
        return len(self.boots_after) - len(self.boots_before)


def most_away(evidence: Sequence[Evidence]) -> int:
    """Return how many hosts were away at once, at most."""
    changes = [change for one in evidence for start, end in one.outages for change in ((start, 1), (end, -1))]
    away = most = 0
    for _, change in sorted(changes):
        away += change
        most = max(most, away)
    return most


def complaints(evidence: Sequence[Evidence], allowed_away: int, longest_pause_seconds: float) -> list[str]:
    """Return what speaks against it: every host restarted exactly once, and never more than `allowed_away` at once."""
    found = []
    for one in evidence:
        if list(one.boots_after[: len(one.boots_before)]) != list(one.boots_before):
            found.append(f"{one.name}'s record of its boots was rewritten")
        elif one.restarts != 1:
            found.append(f"{one.name} restarted {one.restarts} times, not once")
        elif one.boot_id != one.boots_after[-1]:
            found.append(f"{one.name} does not run under the boot it recorded last")
        if len(one.outages) != 1:
            found.append(f"the probe saw {one.name} away {len(one.outages)} times, not once")
        elif one.outages[0][1] == math.inf:
            found.append(f"the probe did not see {one.name} come back")
    if (most := most_away(evidence)) > allowed_away:
        found.append(f"{most} hosts were away at once, {allowed_away} may be")
    if longest_pause_seconds > LONGEST_PAUSE_SECONDS:
        found.append(f"the probe slept {longest_pause_seconds:.1f} s; is this computer too busy to prove anything?")
    return found


def table(evidence: Sequence[Evidence]) -> list[str]:
    """Return the evidence as lines, in the order in which the hosts went away."""
    row = "{:6}{:14}{:>8}   {:12}{:12}{:>9}{:>9}{:>9}".format
    lines = [row("host", "address", "restarts", "boot before", "boot now", "away from", "until", "seconds")]
    for one in sorted(evidence, key=lambda one: one.outages[:1] or [(math.inf, math.inf)]):
        boots = (f"{(boot or 'off')[:8]}…" for boot in (one.boots_before[-1], one.boot_id))
        what = (one.name, one.address, one.restarts, *boots)
        times = [(f"{start:.2f}", f"{end:.2f}", f"{end - start:.2f}") for start, end in one.outages]
        lines.extend(row(*what, *away) for away in times or [("never", "", "")])
    total = sum(end - start for one in evidence for start, end in one.outages)
    lines.append(f"At most {most_away(evidence)} away at once; {total:.2f} s away in all.")
    return lines
