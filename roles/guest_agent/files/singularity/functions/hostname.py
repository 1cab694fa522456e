"""hostname: call the guest by a name, now and from its next boot on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singularity.errors import Refused
from singularity.network import naming
from singularity.network.system import System
from singularity.network.vm_data import hostname_of

if TYPE_CHECKING:
    from singularity.guest import Guest

NAME = "hostname"
ITEM = "hostname"


def answer(value: Any, guest: Guest, channel: Any) -> str:
    """Take the name in `value`, or the one in vm-data where that is empty."""
    name = hostname_of(value or channel.read_vm_data().get("hostname", ""))
    if not name:
        raise Refused("no host name is told")
    _use(name, guest)
    guest.cache.write(ITEM, name)
    return ""


def apply(guest: Guest) -> None:
    """Take the last name once more."""
    name = hostname_of(guest.cache.read(ITEM, ""))
    if name:
        _use(name, guest)


def _use(name: str, guest: Guest) -> None:
    guest.files.own().replace(naming.hostname_plan(name, System(guest.files)))
    if guest.files.live and not guest.files.noop:
        naming.use_hostname(name)
