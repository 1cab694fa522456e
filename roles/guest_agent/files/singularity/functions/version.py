"""version: which version of the agent this is. The host compares it with the one that it could install."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singularity import __version__

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

NAME = "version"
ITEM = None


def answer(value: Any, guest: Guest, channel: Channel) -> str:
    """Return digits and dots, whatever *value* is: there is no version but the agent's."""
    return __version__
