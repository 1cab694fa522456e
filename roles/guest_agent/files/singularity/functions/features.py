"""features: what the host may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singularity import functions

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

NAME = "features"
ITEM = None


def answer(value: Any, guest: Guest, channel: Channel) -> str:
    """Return the names of all functions that are on, with commas and without spaces."""
    return ",".join(functions.names(guest))
