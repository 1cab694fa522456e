"""The way from a request to a machine's domain, or to all hypervisors at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from commissaire.fleet.errors import NotFound
from commissaire.fleet.hypervisors import list_hypervisors, usable_hypervisor
from commissaire.machines.console import Console, open_console
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.link import CALL_SECONDS, Link
from commissaire.machines.machine import find_domain
from commissaire.services import Services

T = TypeVar("T")


def link_to(parts: Services, hypervisor: str) -> Link:
    """Return the connection to a hypervisor.

    Raises:
        NotFound: there is none of that name.
        Conflict: it is not allowed.
    """
    with parts.database.read() as session:
        found = usable_hypervisor(session, hypervisor)
        return parts.hypervisors.link(found.name, found.uri)


def links(parts: Services, hypervisor: str | None = None) -> list[Link]:
    """Return the connections to all hypervisors that are allowed, or to one."""
    if hypervisor is not None:
        return [link_to(parts, hypervisor)]
    with parts.database.read() as session:
        allowed = list_hypervisors(session, allowed=True)
        return [parts.hypervisors.link(each.name, each.uri) for each in allowed]


def with_domain(
    parts: Services,
    hypervisor: str,
    name: str,
    ask: Callable[[Any], T],
    *,
    seconds: float = CALL_SECONDS,
    rests: bool = True,
) -> T:
    """Return what *ask* returns for a machine's domain of libvirt's.

    Raises:
        NotFound: there is no such hypervisor, or no machine of that name on it.
        Conflict: the hypervisor is not allowed.
        HypervisorFailed: it does not answer, or with an error.
    """
    link = link_to(parts, hypervisor)

    def look(connection: Any) -> T:
        domain = find_domain(connection, name) if name.isprintable() else None
        if domain is None:
            raise NotFound(f"there is no machine {name} on hypervisor {hypervisor}")
        return ask(domain)

    return link.call(look, seconds=seconds, rests=rests)


def console_of(
    parts: Services, hypervisor: str, name: str, on_bytes: Callable[[bytes], None], on_end: Callable[[], None]
) -> Console:
    """Open the console of a machine; see `open_console` and `with_domain`.

    One that is opened too late for its caller is closed again: nobody else could have it.
    """
    given_up = threading.Event()

    def open_it(domain: Any) -> Console:
        console = open_console(domain, on_bytes, on_end)
        if given_up.is_set():
            console.close()
        return console

    try:
        return with_domain(parts, hypervisor, name, open_it)
    except HypervisorFailed:
        given_up.set()
        raise
