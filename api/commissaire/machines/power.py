"""Switching machines on and off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from commissaire.fleet.errors import Conflict
from commissaire.machines.link import bindings
from commissaire.machines.machine import find_domain, state_of


class PowerAction(StrEnum):
    """What can be done to a machine, in virsh's words except for `poweroff`, its `destroy`."""

    START = "start"  # switch it on
    SHUTDOWN = "shutdown"  # ask it to switch itself off
    REBOOT = "reboot"  # ask it to restart
    POWEROFF = "poweroff"  # switch it off at once
    RESET = "reset"  # restart it at once
    SUSPEND = "suspend"  # stop its processors
    RESUME = "resume"  # let them go on, or wake it


@dataclass(frozen=True)
class _Way:
    states: tuple[str, ...]
    call: Callable[[Any], Any]


_ON = ("running", "idle", "paused", "in shutdown", "pmsuspended", "crashed")
_AWAKE = ("running", "idle")
_WAYS = {
    PowerAction.START: _Way(("shut off", "crashed", "no state"), lambda domain: domain.create()),
    PowerAction.SHUTDOWN: _Way((*_AWAKE, "in shutdown"), lambda domain: domain.shutdown()),
    PowerAction.REBOOT: _Way(_AWAKE, lambda domain: domain.reboot(0)),
    PowerAction.POWEROFF: _Way(_ON, lambda domain: domain.destroy()),
    PowerAction.RESET: _Way((*_AWAKE, "paused"), lambda domain: domain.reset(0)),
    PowerAction.SUSPEND: _Way(_AWAKE, lambda domain: domain.suspend()),
    PowerAction.RESUME: _Way(("paused", "pmsuspended"), lambda domain: _resume(domain)),
}


def start(connection: Any, name: str) -> bool:
    """Start a machine; one that runs already goes on. Return False when there is none."""
    domain = find_domain(connection, name)
    if domain is None:
        return False
    if not domain.isActive():
        domain.create()
    return True


def act(domain: Any, action: PowerAction) -> None:
    """Do *action* to a domain of libvirt's.

    Raises:
        Conflict: it is in no state for that.
    """
    libvirt = bindings()
    way, state = _WAYS[action], state_of(domain)
    if state not in way.states:
        raise Conflict(f"machine {domain.name()} is {state}; {action} needs one that is {' or '.join(way.states)}")
    try:
        way.call(domain)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
            raise
        raise Conflict(f"machine {domain.name()} is {state_of(domain)} by now: {error}") from error


def _resume(domain: Any) -> None:
    if state_of(domain) == "pmsuspended":
        domain.pMWakeup(0)
    else:
        domain.resume()
