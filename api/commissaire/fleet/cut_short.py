"""How a host is left whose operation was cut short."""

from __future__ import annotations

_UNTOUCHED = "nothing was changed on it"
_SET_UP_IN_PART = "it may be set up in part; bootstrap it again"
_ANNOUNCES_PERHAPS = "it may announce its machines already; let it again"
_HAS_AN_AGENT_PERHAPS = "its guest agent may be there in part; install it again"
_NOT_LOOKED_AT = "nobody has looked whether it is fit since it was changed"
_UNCORDON = "commctl host uncordon puts it back"
_LEFT = {
    "": _UNTOUCHED,
    "waiting": _UNTOUCHED,
    "checking": _UNTOUCHED,
    "connecting": _UNTOUCHED,
    "investigating": _UNTOUCHED,
    "python": _SET_UP_IN_PART,
    "user": _SET_UP_IN_PART,
    "facts": _SET_UP_IN_PART,
    "network": _SET_UP_IN_PART,
    "node": _SET_UP_IN_PART,
    "marker": _SET_UP_IN_PART,
    "installing": _ANNOUNCES_PERHAPS,
    "starting": _ANNOUNCES_PERHAPS,
    "agent": _HAS_AN_AGENT_PERHAPS,
    "agent_start": _HAS_AN_AGENT_PERHAPS,
    "agent_removal": "its guest agent may still be there in part; remove it again",
    "draining": f"its node may be cordoned, and pods gone from it; {_UNCORDON}",
    "uncordoning": f"it was changed, and fit; its node may still be cordoned; {_UNCORDON}",
    "leaving": "its node may be cordoned, or gone from the cluster; let it leave again, or bootstrap it",
    "staging": "what was fetched to it lies there, and is not booted",
    "upgrading": "its packages may be half upgraded; the next upgrade repairs that first",
    "deploying": "the new deployment may be there, and is booted at the next restart then",
    "rebooting": "it may be restarting",
    "verifying": _NOT_LOOKED_AT,
    "soaking": "it was changed, and fit; nobody has looked whether it stayed so",
    "rolling_back": "it may run what was deployed, or what it ran before",
    "rolled_back": "it runs what it ran before",
    "creating": "parts of it may be there; remove it before you create it again",
    "removing": "parts of it may still be there; remove it again",
    "asking": _UNTOUCHED,
    "transferring": "the file is there as a whole or not at all; ask for it again",
    "setting": "the password may be set or not; set it again",
    "running": "the command may go on in it; look at it",
    "updating": "its agent may be replaced or not; ask it for its version (commctl guest info)",
    "probing": "its virt_type is as it was; a volume commissaire-probe-… may be left in its storage pool",
    "wiring": "the network may be there or not; ask for it again",
}


def cut_short(phase: str) -> str:
    """Say how a host is left that was in *phase* when its operation was cancelled."""
    left = _LEFT.get(phase, "nobody knows what was changed on it; look at it")
    return f"cancelled while {phase or 'waiting'}: {left}"
