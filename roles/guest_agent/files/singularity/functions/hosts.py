"""hosts: the guest's own lines of /etc/hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

from singularity.errors import Refused
from singularity.network import naming
from singularity.network.system import System
from singularity.network.vm_data import address_of, hostname_of, parse

if TYPE_CHECKING:
    from singularity.guest import Guest

NAME = "hosts"
ITEM = "hosts"
MOST = 1000


def answer(value: Any, guest: Guest, channel: Any) -> str:
    """Take entries: an object of addresses, each with its names (a list, or a text), or lines as in hosts(5).

    An empty value means what vm-data tells: the guest's own addresses and name.
    """
    entries = entries_of(value) if value else _told(guest, channel.read_vm_data())
    _use(entries, guest)
    guest.cache.write(ITEM, entries)
    return ""


def apply(guest: Guest) -> None:
    """Take the last entries once more."""
    kept = guest.cache.read(ITEM)
    if kept:
        _use(entries_of(kept), guest)


def entries_of(value: Any) -> Dict[str, List[str]]:
    """Return names by address. Raise Refused for what is neither an object nor lines of them."""
    if isinstance(value, str):
        lines = [line.partition("#")[0].split() for line in value.splitlines()]
        pairs = [(words[0], words[1:]) for words in lines if words]
    elif isinstance(value, dict):
        pairs = [(address, names.split() if isinstance(names, str) else names) for address, names in value.items()]
    else:
        raise Refused("hosts are an object of addresses with their names, or lines of them")
    if len(pairs) > MOST:
        raise Refused(f"hosts are more than {MOST}")
    entries: Dict[str, List[str]] = {}
    for address, names in pairs:
        if not isinstance(names, list) or not names or len(names) > MOST:
            raise Refused("a host has an address and at least one name")
        known = entries.setdefault(address_of(address, "a host"), [])
        known += [name for name in map(hostname_of, names) if name and name not in known]
    return entries


def _told(guest: Guest, vm_data: Dict[str, str]) -> Dict[str, List[str]]:
    system = System(guest.files)
    network = parse(vm_data, system.interfaces())
    name = network.hostname or naming.current_hostname(system)
    if not name or not network.main_addresses:
        raise Refused("vm-data tells no address, or there is no host name")
    return {address: naming.names_of(name) for address in network.main_addresses}


def _use(entries: Dict[str, List[str]], guest: Guest) -> None:
    guest.files.own().replace(naming.hosts_plan(entries.items(), System(guest.files)))
