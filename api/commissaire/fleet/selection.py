"""Which hosts of a cluster an operation works on, and in which order they start."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from fnmatch import translate
from itertools import zip_longest
from typing import Any

from commissaire.fleet.errors import Invalid
from commissaire.records import Host

_WILDCARDS = frozenset("*?[")


def select_hosts(hosts: Sequence[Host], patterns: Sequence[str]) -> list[Host]:
    """Return those of *hosts* that match one of *patterns*: an address, or `label=value`, each perhaps with `*` or `?`.

    Raises:
        Invalid: a pattern matches none, so it may be a mistake.
    """
    addresses = {host.address: {host.address} for host in hosts}
    labels: dict[str, dict[str, set[str]]] = {}
    for host in hosts:
        for key, value in host.labels.items():
            labels.setdefault(key, {}).setdefault(value, set()).add(host.address)
    wanted: set[str] = set()
    for pattern in dict.fromkeys(patterns):
        key, equals, value = pattern.partition("=")
        found = _matching(labels.get(key, {}), value) if equals else _matching(addresses, pattern.lower())
        if not found:
            raise Invalid(f"hosts: no host of the cluster matches {pattern!r}; give addresses, or labels as KEY=VALUE")
        wanted |= found
    return [host for host in hosts if host.address in wanted] if patterns else list(hosts)


def arrange_hosts(hosts: Sequence[Host], parameters: dict[str, Any]) -> list[Host]:
    """Put *hosts* into the order that an operation's *parameters* ask for.

    Raises:
        Invalid: none of them has the label that tells failure domains.
    """
    ordered = _ordered(hosts, parameters.get("host_order", "inventory"))
    key = parameters.get("failure_domain")
    if key is None:
        return ordered
    if hosts and not any(key in host.labels for host in hosts):
        raise Invalid(f"failure_domain is {key}, but no host has a label of that name; give them one")
    members: dict[str, list[Host]] = {}
    for host in ordered:
        members.setdefault(host.labels.get(key, ""), []).append(host)
    if parameters.get("one_domain_at_a_time"):
        return [host for domain in members.values() for host in domain]
    if parameters.get("host_order") == "spread":
        return [host for turn in zip_longest(*members.values()) for host in turn if host is not None]
    return ordered


def _matching(named: dict[str, set[str]], pattern: str) -> set[str]:
    """Return the addresses by those names that match *pattern*; a plain one costs no look at all the others."""
    if not _WILDCARDS.intersection(pattern):
        return named.get(pattern, set())
    matches = re.compile(translate(pattern)).match
    return {address for name, addresses in named.items() if matches(name) for address in addresses}


def _ordered(hosts: Sequence[Host], order: str) -> list[Host]:
    if order == "shuffle":
        return random.sample(list(hosts), len(hosts))
    if order in ("sorted", "reverse_sorted"):
        return sorted(hosts, key=lambda host: host.address, reverse=order == "reverse_sorted")
    return list(reversed(hosts)) if order == "reverse_inventory" else list(hosts)
