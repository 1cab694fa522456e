# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The addresses of running machines: what guest agents say, which leases networks gave, what ARP saw.

A guest agent says what its guest wants. Nothing of it is taken over but addresses, and they may be another's.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
import xml.etree.ElementTree as ET
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import tried
from ansible_collections.commissaire.fleet.plugins.module_utils.virtual_machine import AGENT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

SOURCES = ("agent", "lease", "arp")
"""Who knows addresses, the best one first."""
AGENTS_AT_ONCE = 5  # so many calls of one client libvirtd takes on; others wait their turn (max_client_requests)
AGENT_SECONDS = 2
MOST = 64
"""Addresses of one machine: a guest may have any number."""
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NUMBERS = {"lease": 0, "agent": 1, "arp": 2}  # VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_…
_BLOCK = -2  # VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, which libvirt has unless it is told otherwise


@dataclass(frozen=True)
class Address:
    """An address of a machine. `network` is that of the port with this `mac`; None of a bridge, or of no port."""

    mac: str
    network: str | None
    address: str
    prefix: int | None
    source: str
    on_port: bool = True
    """Whether the machine has a port with this `mac`: addresses in a guest alone (containers, VPNs) lead elsewhere."""

    def facts(self) -> dict[str, Any]:
        """Return it as modules tell of it."""
        told = asdict(self)
        del told["on_port"]
        return told


def addresses_of(
    machines: Mapping[str, tuple[Any, str]], sources: Collection[str] = SOURCES, seconds: float = 5
) -> dict[str, list[Address]]:
    """Return the addresses of `machines` by name; they are libvirt's domains, each with the XML of what runs.

    Agents have `seconds` for all their answers together. Where one says nothing of use, leases and then ARP are asked.
    """
    agents = {name: domain for name, (domain, xml) in machines.items() if agent_connected(xml)}
    said = _ask_agents(agents, seconds) if "agent" in sources else {}
    found = {}
    for name, (domain, xml) in machines.items():
        ports = ports_of(xml)
        known = read_addresses(said.get(name), "agent", ports)
        if ports and not any(one.on_port for one in known):
            for source in SOURCES[1:]:
                if source in sources:
                    known += read_addresses(tried(domain.interfaceAddresses, _NUMBERS[source]), source, ports)
        found[name] = in_order(known, ports)
    return found


def ports_of(xml: str) -> dict[str, str | None]:
    """Return the MAC addresses of a domain's ports in their order, each with its libvirt network, if it is on one."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, which has no entities and names nothing to fetch
    ports = {}
    for interface in root.findall("devices/interface"):
        mac, source = interface.find("mac"), interface.find("source")
        if mac is not None:
            ports[(mac.get("address") or "").lower()] = source.get("network") if source is not None else None
    return ports


def agent_connected(xml: str) -> bool:
    """Tell whether a guest agent has opened the channel of a running domain: any other would not answer."""
    root = ET.fromstring(xml)  # noqa: S314  as in ports_of
    targets = root.findall("devices/channel/target")
    return any(target.get("name") == AGENT and target.get("state") == "connected" for target in targets)


def read_addresses(answer: Mapping[str, Any] | None, source: str, ports: Mapping[str, str | None]) -> list[Address]:
    """Return the addresses in an answer of virDomainInterfaceAddresses by which others can reach the machine."""
    found = []
    for interface in (answer or {}).values():
        mac = (interface.get("hwaddr") or "").lower()
        mac = mac if MAC.fullmatch(mac) else ""
        for given in interface.get("addrs") or ():
            address = _reachable(given["addr"])
            prefix = None if source == "arp" else given["prefix"]  # of ARP libvirt makes one up
            if address:
                found.append(Address(mac, ports.get(mac), address, prefix, source, mac in ports))
    return found


def in_order(addresses: Iterable[Address], ports: Iterable[str]) -> list[Address]:
    """Return each address once, by the order of the ports, those on none last."""
    once: dict[tuple[str, str], Address] = {}
    for address in addresses:
        once.setdefault((address.mac, address.address), address)
    order = {mac: number for number, mac in enumerate(ports)}
    return sorted(once.values(), key=lambda one: order.get(one.mac, len(order)))[:MOST]


def _reachable(text: str) -> str:
    """Return an address in its usual form; "" for one that means something only on the machine or its link."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    address = getattr(address, "ipv4_mapped", None) or address
    useless = ("is_loopback", "is_link_local", "is_multicast", "is_unspecified", "is_reserved")
    return "" if any(getattr(address, name) for name in useless) else str(address)


def _ask_agents(domains: Mapping[str, Any], seconds: float) -> dict[str, Mapping[str, Any] | None]:
    """Return what agents said within `seconds`. An answer that is still missing then is left to a thread of its own."""
    said: dict[str, Mapping[str, Any] | None] = {}
    waiting = deque(domains)
    started = time.monotonic()

    def work() -> None:
        while waiting and time.monotonic() < started + seconds / 2:
            try:
                name = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            said[name] = _ask_agent(domains[name])

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AGENTS_AT_ONCE, len(domains)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, started + seconds - time.monotonic()))
    return dict(said)


def _ask_agent(domain: Any) -> Mapping[str, Any] | None:
    """Ask one agent, which may be hung. The timeout is the domain's, for all that ask: it is put back afterwards."""
    if tried(domain.agentSetResponseTimeout, AGENT_SECONDS) is None:  # without a timeout it is not asked
        return None
    try:
        answer: Mapping[str, Any] | None = tried(domain.interfaceAddresses, _NUMBERS["agent"])
    finally:
        tried(domain.agentSetResponseTimeout, _BLOCK)
    return answer
