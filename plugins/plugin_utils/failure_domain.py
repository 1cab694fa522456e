# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that fail together (a zone, a rack): in which order their hosts start, and which may be away at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision, Places, hosts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = ""
"""The domain of hosts that tell none."""


def read_domains(key: str, variables: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Return the failure domain of each host, by its label or variable called `key`, or raise ValueError.

    `variables` are the hosts' own; labels are in their `commissaire_labels`.
    """
    domains = {}
    for host, own in variables.items():
        labels = own.get("commissaire_labels")
        value = labels[key] if isinstance(labels, Mapping) and key in labels else own.get(key)
        if value is not None:
            domains[host] = str(value)
    if not domains:
        raise ValueError(f"failure_domain is {key}, but no host has a label or variable of that name; give them one")
    return {**dict.fromkeys(variables, UNKNOWN), **domains}


def play_order(everyone: Sequence[str], batch: Sequence[str], order: str | None) -> list[str]:
    """Return all hosts of a play by its `order`, those included that failed before it and are not in its `batch`.

    `everyone` is in the order of the inventory. A shuffled play has no place for the others: they come last.
    """
    if order in (None, "inventory"):
        return list(everyone)
    if order == "reverse_inventory":
        return list(reversed(everyone))
    if order in ("sorted", "reverse_sorted"):
        return sorted(everyone, reverse=order == "reverse_sorted")
    return list(dict.fromkeys([*batch, *everyone]))


def arrange(hosts: Sequence[str], domains: Mapping[str, str], spread: bool, one_at_a_time: bool) -> list[str]:
    """Put hosts into the order in which they start: one of each domain in turn, or one domain after the other."""
    members: dict[str, list[str]] = {}
    for host in hosts:
        members.setdefault(domains.get(host, UNKNOWN), []).append(host)
    if one_at_a_time:
        return [host for domain in members.values() for host in domain]
    if spread:
        return [host for turn in zip_longest(*members.values()) for host in turn if host is not None]
    return list(hosts)


def plan_domain(domains: Mapping[str, str], places: Places, host: str, away: Sequence[str] = ()) -> Decision | None:
    """Decide whether `host` must leave the others alone, because hosts of another domain are away; None when not.

    `away` are domains of which an earlier run left hosts out of service.
    """
    mine = domains.get(host, UNKNOWN)
    others = sorted({domain or "without a name" for domain in away if domain != mine})
    if others:
        return Decision(
            "refuse",
            f"not started: hosts of another failure domain ({', '.join(others)}) failed out of service in an earlier "
            f"run, and one_domain_at_a_time allows no other",
            fails=True,
        )
    kept = frozenset(other for other in places.kept if domains.get(other, UNKNOWN) != mine)
    if kept:
        return Decision(
            "refuse",
            f"not started: {hosts_of(kept)} failed out of service in another failure domain "
            f"({_names(domains, kept)}), and one_domain_at_a_time allows no other",
        )
    held = frozenset(other for other in places.held if domains.get(other, UNKNOWN) != mine)
    if held:
        return Decision("wait", f"waits for {hosts_of(held)} of the failure domain {_names(domains, held)}")
    return None


def _names(domains: Mapping[str, str], hosts: frozenset[str]) -> str:
    return ", ".join(sorted({domains.get(host, UNKNOWN) or "without a name" for host in hosts}))
