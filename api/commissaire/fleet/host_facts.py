"""What a host says of itself, taken over into its record."""

from __future__ import annotations

import re
from typing import Any

from commissaire.clock import now
from commissaire.fleet.sources import PROVIDED
from commissaire.records import Host

_TEXT_FACTS = ("os", "os_version", "os_family", "kernel")
_NUMBER_FACTS = ("cpus", "memory_kb", "space_bytes")
_NOT_IN_FACTS = re.compile(r"[^A-Za-z0-9 ._+~:@()/-]", re.ASCII)


def record_facts(host: Host, facts: dict[str, Any]) -> None:
    """Take over what a host says of itself, but no more than facts can be: it may be anybody's host.

    What its source owns stays as the source told it.
    """
    kept = PROVIDED if host.source else ()
    for name in _TEXT_FACTS:
        if name not in kept and isinstance(facts.get(name), str):
            setattr(host, name, _NOT_IN_FACTS.sub("", facts[name])[:128])
    for name in _NUMBER_FACTS:
        if name not in kept and isinstance(facts.get(name), int):
            setattr(host, name, min(max(facts[name], 0), 2**63 - 1 if name != "cpus" else 2**31 - 1))
    host.last_check = now()
