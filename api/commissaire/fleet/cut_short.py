"""How a host is left whose operation was cut short."""

from __future__ import annotations

_LEFT = {
    "upgrading": "its packages may be half upgraded; the next upgrade repairs that first",
    "staging": "what was fetched to it lies there, and is not booted",
    "rolling_back": "it may run what was deployed, or what it ran before",
    "deploying": "the new deployment may be there, and is booted at the next restart then",
    "rebooting": "it may be restarting",
    "verifying": "nobody has looked whether it is fit since it was changed",
}


def cut_short(phase: str) -> str:
    """Say how a host is left that was in *phase* when its operation was cancelled."""
    return f"cancelled while {phase or 'waiting'}: {_LEFT.get(phase, 'nothing was changed on it')}"
