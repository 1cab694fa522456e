"""The network that the hypervisor wants the guest to have."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import Iterator, Sequence, Tuple, Union

AnyAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class Address:
    """An address with the length of its network's prefix."""

    address: str
    prefix: int

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    @property
    def netmask(self) -> str:
        """The prefix as an IPv4 mask."""
        return str(ipaddress.IPv4Network((0, self.prefix)).netmask)

    def reaches(self, other: str) -> bool:
        """Tell whether `other` is in the same network, so that it is reached without a gateway."""
        return ipaddress.ip_address(other) in ipaddress.ip_interface(str(self)).network


@dataclass(frozen=True)
class Route:
    """A way to the network `to` by `gateway`; `direct` where the interface has no address in its network."""

    to: Address
    gateway: str
    direct: bool = False


@dataclass(frozen=True)
class Interface:
    """An interface of the guest, called `name` there, with all addresses and routes it shall have."""

    name: str
    mac: str
    label: str = ""
    ips: Tuple[Address, ...] = ()
    ip6s: Tuple[Address, ...] = ()
    gateway: Route | None = None
    gateway6: Route | None = None
    routes: Tuple[Route, ...] = ()
    dns: Tuple[str, ...] = ()

    @property
    def addresses(self) -> Tuple[Address, ...]:
        """All addresses, IPv4's first."""
        return self.ips + self.ip6s

    def ways(self, version: int) -> Iterator[Route]:
        """Yield the routes of one version, the default route first."""
        default = self.gateway if version == 4 else self.gateway6
        if default:
            yield default
        yield from (route for route in self.routes if route.to.version == version)

    def without_ipv6(self) -> Interface:
        """Return the interface as it is where the system has no IPv6."""
        routes = tuple(route for route in self.routes if route.to.version == 4)
        dns = tuple(server for server in self.dns if ":" not in server)
        return replace(self, ip6s=(), gateway6=None, routes=routes, dns=dns)


@dataclass(frozen=True)
class Network:
    """All of it: the interfaces in the order of their names, and the host name where it is told."""

    interfaces: Tuple[Interface, ...] = ()
    hostname: str | None = None

    @property
    def dns(self) -> Tuple[str, ...]:
        """The name servers of all interfaces, each once."""
        return tuple(dict.fromkeys(server for interface in self.interfaces for server in interface.dns))

    @property
    def main_addresses(self) -> Sequence[str]:
        """The first address of each version that the guest is known by: of the interface with the default route."""
        found = []
        for version in (4, 6):
            rated = sorted(self.interfaces, key=lambda one: (one.gateway if version == 4 else one.gateway6) is None)
            known = [str(ip.address) for one in rated for ip in (one.ips if version == 4 else one.ip6s)]
            found += known[:1]
        return found
