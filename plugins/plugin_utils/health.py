# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many hosts serve, and whether that is enough for the next one to go out of service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision, hosts_of, read_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.commissaire.fleet.plugins.plugin_utils.ssh_port import SshPort

AT_ONCE = 64
TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class Health:
    """What the last look found: which hosts did not serve, and since when too few did (seconds since the epoch).

    `looked_at` 0 is before any look, `short_since` 0 says that enough served; `trouble` is why some are not known.
    """

    looked_at: float = 0
    silent: frozenset[str] = frozenset()
    short_since: float = 0
    trouble: str = ""


def read_min_healthy(value: object, hosts: int) -> int:
    """Turn a number or a percentage of `hosts`, rounded up, into a number, or raise ValueError."""
    text = str(value).strip()
    number = read_limit("min_healthy", value, hosts, lowest=0)
    if text.endswith("%"):
        return -(-hosts * int(text[:-1]) // 100)
    if number > hosts:
        raise ValueError(
            f"min_healthy is {number}, but there are only {hosts} hosts; give a smaller number, or a percentage"
        )
    return number


def look(ports: Mapping[str, SshPort]) -> frozenset[str]:
    """Return the hosts whose sshd does not greet us now."""
    if not ports:
        return frozenset()
    with ThreadPoolExecutor(min(AT_ONCE, len(ports))) as pool:
        complaints = pool.map(lambda port: port.complaint(TIMEOUT_SECONDS), ports.values())
        return frozenset(host for host, complaint in zip(ports, complaints, strict=True) if complaint)


def after_look(
    before: Health,
    silent: frozenset[str],
    hosts: int,
    least: int,
    now: float,
    away: frozenset[str] = frozenset(),
    trouble: str = "",
) -> Health:
    """Return what is known after a look at `now` that found `silent` among so many hosts.

    Hosts that are `away` because the play works on them will be back: they don't count for since when too few answer.
    """
    short = hosts - len(silent - away) < least
    return Health(now, silent, (before.short_since or now) if short else 0, trouble)


def plan_health(
    health: Health,
    hosts: int,
    least: int,
    wait_seconds: float,
    now: float,
    away: frozenset[str] = frozenset(),
    serve: str = "answer",
) -> Decision | None:
    """Decide whether too few hosts `serve` for another one to go out of service; None when enough do.

    Those that are `away`, because the play works on them, answer no more, or soon won't.
    """
    answering = hosts - len(health.silent | away)
    if answering >= least:
        return None
    which = {"silent" if serve == "answer" else "away": health.silent - away, "under way": away}
    why = ", ".join(f"{hosts_of(names)} {what}" for what, names in which.items() if names)
    why += f"; {health.trouble}" if health.trouble else ""
    found = f"{answering} of {hosts} hosts {serve}, min_healthy is {least} ({why})"
    if health.short_since and now - health.short_since >= wait_seconds:
        return Decision("refuse", f"not started: for {wait_seconds:g} s, only {found}", fails=True)
    return Decision("wait", f"waits: only {found}")
