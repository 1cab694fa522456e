"""Switching machines on and off."""

from __future__ import annotations

from typing import Any

from commissaire.machines.machine import find_domain


def start(connection: Any, name: str) -> bool:
    """Start a machine; one that runs already goes on. Return False when there is none."""
    domain = find_domain(connection, name)
    if domain is None:
        return False
    if not domain.isActive():
        domain.create()
    return True
