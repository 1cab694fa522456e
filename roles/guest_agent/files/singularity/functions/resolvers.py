"""resolvers: the name servers that the guest asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

from singularity import programs
from singularity.errors import Refused
from singularity.network import resolving
from singularity.network.system import System
from singularity.network.vm_data import hostname_of, parse, servers_of

if TYPE_CHECKING:
    from singularity.guest import Guest

NAME = "resolvers"
ITEM = "resolvers"
MOST = 32


def answer(value: Any, guest: Guest, channel: Any) -> str:
    """Take name servers: a list, a text with commas or spaces, or an object {"nameservers": …, "search": …}.

    An empty value means what vm-data tells.
    """
    wanted = resolvers_of(value) if value else _told(guest, channel.read_vm_data())
    _use(wanted, guest)
    guest.cache.write(ITEM, wanted)
    return ""


def apply(guest: Guest) -> None:
    """Take the last name servers once more."""
    kept = guest.cache.read(ITEM)
    if kept:
        _use(resolvers_of(kept), guest)


def resolvers_of(value: Any) -> Dict[str, List[str]]:
    """Return `nameservers` and `search`. Raise Refused for what has no name server."""
    given = value if isinstance(value, dict) else {"nameservers": value}
    search = given.get("search") or []
    if isinstance(search, str):
        search = search.replace(",", " ").split()
    if not isinstance(search, list) or len(search) > MOST:
        raise Refused("search is a list of domains")
    servers = servers_of(given.get("nameservers"))
    if not servers:
        raise Refused("no name server is told")
    return {"nameservers": list(servers), "search": [name for name in map(hostname_of, search) if name]}


def _told(guest: Guest, vm_data: Dict[str, str]) -> Dict[str, List[str]]:
    return resolvers_of(list(parse(vm_data, System(guest.files).interfaces()).dns))


def _use(wanted: Dict[str, List[str]], guest: Guest) -> None:
    system = System(guest.files)
    changed = guest.files.own().replace(resolving.plan(wanted["nameservers"], wanted["search"], system))
    if changed and guest.files.live:
        for command in resolving.up(system):
            programs.attempt(command)
