"""Reset the guest's network: read what the hypervisor wants, plan the files, replace them together, bring it up."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, List, Mapping, Sequence, Tuple

from singularity import configurators, programs
from singularity.errors import Refused

if TYPE_CHECKING:
    from singularity.files import Change
    from singularity.guest import Guest
    from singularity.network.model import Network
    from singularity.network.system import System

SECONDS = 35.0
"""For the network to come up; then it may take _BACK_SECONDS to put it back: hosts wait 60 s for their answer."""
_BACK_SECONDS = 20.0
_log = logging.getLogger("singularity")


def reset(guest: Guest, vm_data: Mapping[str, str]) -> None:
    """Set up what `vm_data` tells (see vm_data.parse): interfaces, host name, hosts and name servers, as -F lets us.

    All files change or none. On the running system the network is brought up; when that fails, everything is put back.
    Raise Refused then, and for vm-data that can't be used. What is not told stays as it is.
    """
    from singularity.network import naming, resolving
    from singularity.network.system import System
    from singularity.network.vm_data import parse

    system = System(guest.files)
    network = parse(vm_data, system.interfaces() if any("networking/" in str(key) for key in vm_data) else {})
    if not system.has_ipv6():
        network = replace(network, interfaces=tuple(one.without_ipv6() for one in network.interfaces))
    configurator = None
    changes: List[Change] = []
    commands: List[List[str]] = []
    if network.interfaces and guest.manages("network"):
        configurator = configurators.choose(system, guest.settings.configurators)
        changes += configurators.ask(configurator, "plan", network, system)
        _log.info("%s sets up %d interfaces", getattr(configurator, "NAME", ""), len(network.interfaces))
    if network.hostname and guest.manages("hostname"):
        changes += naming.hostname_plan(network.hostname, system)
    entries = _entries(network, system)
    if entries and guest.manages("hosts"):
        changes += naming.hosts_plan(entries, system)
    if network.dns and guest.manages("resolvers"):
        name = getattr(configurator, "NAME", "")
        resolvers = resolving.plan(network.dns, (), system, name)
        changes += resolvers
        commands = resolving.up(system) if guest.files.own().diff(resolvers) else []
    _replace(guest, changes, network, system, configurator)
    if guest.files.noop:
        return
    if guest.files.live:
        for command in commands:
            programs.attempt(command)
        if network.hostname and guest.manages("hostname"):
            naming.use_hostname(network.hostname)
    _remember(guest, vm_data, network, entries)


def _replace(guest: Guest, changes: Sequence[Change], network: Network, system: System, configurator: Any) -> None:
    """Replace the files, and see that the interfaces come up by them."""
    files = guest.files.own()
    if configurator is None or not files.live or files.noop:
        files.replace(changes)
        return
    from singularity.network import netlink

    planned = configurators.ask(configurator, "plan", network, system)
    there = not files.diff(planned) and not netlink.wait_for(network, programs.Deadline(0))
    if there:
        files.replace(changes)  # the network is as it shall be: leave its connections alone
        return
    deadline = programs.Deadline(SECONDS)
    transaction = files.prepare(changes)
    try:
        for command in configurators.ask(configurator, "down", network, system):
            programs.attempt(command, deadline.left())
        transaction.commit()
        for command in configurators.ask(configurator, "up", network, system):
            _run(command, deadline)
        missing = netlink.wait_for(network, deadline)
        if missing:
            raise Refused(f"the network does not come up: it lacks {', '.join(missing)}")
    except BaseException:
        transaction.undo()
        _log.warning("the network did not come up: what was before is put back")
        _back(configurator, network, system)
        raise
    transaction.keep()


def _run(command: Sequence[str], deadline: programs.Deadline) -> None:
    """Run a command. Raise Refused when it fails, unless it begins with "-", as in systemd's units."""
    if command[0].startswith("-"):
        programs.attempt([command[0][1:], *command[1:]], deadline.left())
    else:
        programs.run(command, deadline.left())


def _back(configurator: Any, network: Network, system: System) -> None:
    """Bring the network up by the files that were before."""
    deadline = programs.Deadline(_BACK_SECONDS)
    for part in ("down", "up"):
        try:
            for command in configurators.ask(configurator, part, network, system):
                programs.attempt([command[0].lstrip("-"), *command[1:]], deadline.left())
        except Refused as refused:
            _log.warning("%s", refused)


def _entries(network: Network, system: System) -> List[Tuple[str, List[str]]]:
    """Return the guest's own lines of hosts: its addresses with its name."""
    from singularity.network import naming

    name = network.hostname or naming.current_hostname(system)
    return [(address, naming.names_of(name)) for address in network.main_addresses] if name else []


def _remember(guest: Guest, vm_data: Mapping[str, str], network: Network, entries: List[Tuple[str, List[str]]]) -> None:
    """Keep what was applied, each item by itself, so that `apply hostname` alone has what it needs."""
    if network.interfaces and guest.manages("network"):
        guest.cache.write("network", dict(vm_data))
    if network.hostname and guest.manages("hostname"):
        guest.cache.write("hostname", network.hostname)
    if entries and guest.manages("hosts"):
        guest.cache.write("hosts", dict(entries))
    if network.dns and guest.manages("resolvers"):
        guest.cache.write("resolvers", {"nameservers": list(network.dns), "search": []})
