# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask many hypervisors at once which machines they have; one that hangs keeps nobody longer than it may."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansible.utils.multiprocessing import context
from ansible_collections.commissaire.fleet.plugins.module_utils.addresses import addresses_of
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import OFF, STATES
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import (
    HypervisorError,
    connection_to,
    tried,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor_access import place_of_programs
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_machine import read_machine
from ansible_collections.commissaire.fleet.plugins.plugin_utils import processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection

    from ansible_collections.commissaire.fleet.plugins.module_utils.addresses import Address
    from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor_access import Access

END_SECONDS = 1.0


def ask(
    uris: Sequence[str], sources: Sequence[str], seconds: float, access: Access | None = None
) -> dict[str, list[dict[str, Any]] | str]:
    """Return the machines of each hypervisor, or why there are none; see `machines_of`.

    A call of libvirt's that hangs can't be ended, so each hypervisor is asked by a process that can.
    """
    deadline = time.monotonic() + seconds
    asked = []
    with tempfile.TemporaryDirectory(prefix="commissaire-", dir=place_of_programs()) as place:
        try:
            for uri in uris:
                here, there = context.Pipe(duplex=False)
                question = (there, uri, sources, seconds, access, place)
                child = context.Process(target=_answer, args=question, daemon=True)
                child.start()
                there.close()
                asked.append((uri, child, here))
            return {uri: _received(uri, pipe, deadline) for uri, _, pipe in asked}
        finally:
            for _, child, pipe in asked:
                pipe.close()
                _end(child)


def machines_of(
    uri: str, sources: Sequence[str], seconds: float, access: Access | None = None, place: str = ""
) -> list[dict[str, Any]]:
    """Return what there is to tell of a hypervisor's machines by their names, as JSON has it.

    Guest agents have `seconds` for their answers. Raise HypervisorError when the hypervisor can't be asked.
    """
    with connection_to(uri, access, read_only="agent" not in sources, place=place) as connection:
        host = urlsplit(uri).hostname or connection.getHostname()
        read = [(one, tried(one.state), tried(one.XMLDesc, 0)) for one in connection.listAllDomains()]
        machines = [(domain, STATES[state[0]], xml) for domain, state, xml in read if state and xml]  # others are gone
        live = {domain.name(): (domain, xml) for domain, state, xml in machines if state not in OFF}
        addresses = addresses_of(live, sources, seconds)
        if not connection.isAlive():
            raise HypervisorError("the connection was lost; try again")
        told = [
            {"hypervisor": uri, "hypervisor_host": host, "state": state, **_told(domain, xml, addresses)}
            for domain, state, xml in machines
        ]
        return sorted(told, key=lambda one: str(one["name"]))


def _told(domain: Any, xml: str, addresses: Mapping[str, Sequence[Address]]) -> dict[str, Any]:
    machine, known = read_machine(xml), addresses.get(domain.name(), ())
    return {
        "name": domain.name(),
        "uuid": domain.UUIDString(),
        "owner": machine.owner or None,
        "memory_mb": machine.memory_mb,
        "vcpus": machine.vcpus,
        "networks": list(dict.fromkeys(port.network for port in machine.interfaces)),
        "addresses": [{**address.facts(), "on_port": address.on_port} for address in known],
    }


def _received(uri: str, pipe: Connection, deadline: float) -> list[dict[str, Any]] | str:
    if not pipe.poll(max(0.0, deadline - time.monotonic())):
        return f"hypervisor {uri} does not answer in time; see whether it hangs, or give it more timeout_seconds"
    try:
        answer: list[dict[str, Any]] | str = pipe.recv()
    except EOFError:
        return f"hypervisor {uri}: what asked it has crashed; see whether virsh -c {uri} list does"
    return answer


def _answer(
    pipe: Connection, uri: str, sources: Sequence[str], seconds: float, access: Access | None, place: str
) -> None:
    os.setsid()  # without a terminal ssh asks for no password, and what it has started can be ended with it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    processes.die_with_parent()
    try:
        pipe.send(machines_of(uri, sources, seconds / 2, access, place))
    except HypervisorError as error:
        pipe.send(str(error))


def _end(child: Any) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has only just begun, or has ended
        os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.join(END_SECONDS)
