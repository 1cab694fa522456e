"""systemd-networkd: one .network file an interface, before all others (systemd.network(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, List

from singularity.configurators import MARK
from singularity.files import Change

if TYPE_CHECKING:
    from singularity.network.model import Interface, Network, Route
    from singularity.network.system import System

NAME = "networkd"
FOLDER = "/etc/systemd/network"
_PREFIX = "00-singularity-"
UNIT = "systemd-networkd.service"


def fits(system: System) -> int:
    """Rate by whether its unit is enabled, and whether it has files."""
    files = system.names(FOLDER, ".network")
    if system.enabled(UNIT):
        return 3
    if files:
        return 2
    return int(system.exists(FOLDER) or system.family()[0] in ("arch", "flatcar", "coreos"))


def plan(network: Network, system: System) -> List[Change]:
    """Return a file for each interface; those of interfaces that are no more go."""
    changes = [Change(_path(one), network_file(one).encode("ascii")) for one in network.interfaces]
    paths = {change.path for change in changes}
    ours = [f"{FOLDER}/{name}" for name in system.names(FOLDER, ".network") if name.startswith(_PREFIX)]
    return changes + [Change(path, None) for path in ours if path not in paths]


def down(network: Network, system: System) -> List[List[str]]:
    """Return what takes all addresses away: at a start it leaves some."""
    return [["ip", "address", "flush", "dev", one.name, "scope", "global"] for one in network.interfaces]


def up(network: Network, system: System) -> List[List[str]]:
    """Return what makes every version of it read its files, and look what is really there."""
    return [["-systemctl", "reset-failed", UNIT], ["systemctl", "restart", UNIT]]  # else five in 10 s are too many


def network_file(interface: Interface) -> str:
    """Return the file of one interface. It has its name and its address: a VLAN on it has the same address."""
    lines = [f"# {MARK}", *([f"# {interface.label}"] if interface.label else [])]
    lines += ["[Match]", f"Name={interface.name}", f"MACAddress={interface.mac}", "", "[Network]", "DHCP=no"]
    if interface.ip6s:
        lines.append("IPv6AcceptRA=no")
    lines += [f"Address={address}" for address in interface.addresses]
    lines += [f"DNS={server}" for server in interface.dns]
    lines += _ways([*interface.ways(4), *interface.ways(6)])
    return "\n".join(lines) + "\n"


def _path(interface: Interface) -> str:
    return f"{FOLDER}/{_PREFIX}{interface.name}.network"


def _ways(ways: Iterable[Route]) -> Iterable[str]:
    for way in ways:
        yield from ("", "[Route]", f"Destination={way.to}", f"Gateway={way.gateway}")
        if way.direct:
            yield "GatewayOnLink=yes"
