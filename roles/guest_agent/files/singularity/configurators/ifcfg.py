"""Red Hat's ifcfg files, read by the network service of initscripts and by NetworkManager (nm-settings-ifcfg-rh(5))."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, List

from singularity.configurators import MARK
from singularity.files import Change

if TYPE_CHECKING:
    from singularity.network.model import Interface, Network
    from singularity.network.system import System

NAME = "ifcfg"
FOLDER = "/etc/sysconfig/network-scripts"
_KEPT = ("NAME", "UUID", "MTU", "ZONE", "NM_CONTROLLED", "ETHTOOL_OPTS", "DOMAIN", "SEARCH", "PEERDNS", "IPV6_PRIVACY")
"""What a file keeps of a user's settings."""


def fits(system: System) -> int:
    """Rate by whether there are such files, and something that reads them."""
    files = [name for name in system.names(FOLDER) if name.startswith("ifcfg-") and name != "ifcfg-lo"]
    scripts = system.exists(f"{FOLDER}/ifup-eth")
    if files and (scripts or system.enabled("NetworkManager.service") or system.enabled("network.service")):
        return 3
    if files or scripts:
        return 2
    return 0


def plan(network: Network, system: System) -> List[Change]:
    """Return three files for each interface: itself, and its routes of both versions where it has some."""
    changes = []
    for one in network.interfaces:
        path = f"{FOLDER}/ifcfg-{one.name}"
        changes.append(Change(path, ifcfg(one, system.read(path)).encode("utf-8", "surrogateescape")))
        for version, name in ((4, "route-"), (6, "route6-")):
            path = f"{FOLDER}/{name}{one.name}"
            text = routes(one, version)
            if text or system.exists(path):
                changes.append(Change(path, text.encode("ascii") if text else None))
    return changes


def down(network: Network, system: System) -> List[List[str]]:
    """Return what takes the interfaces down as their present files say."""
    return [] if _managed(system) else [["ifdown", one.name] for one in network.interfaces]


def up(network: Network, system: System) -> List[List[str]]:
    """Return what takes them up, by whatever reads these files."""
    if not _managed(system):
        return [["ifup", one.name] for one in network.interfaces]
    up = [["nmcli", "--wait", "20", "connection", "up", "ifname", one.name] for one in network.interfaces]
    return [["nmcli", "connection", "reload"], *up]


def ifcfg(interface: Interface, before: str = "") -> str:
    """Return the file of one interface, with what shall be kept of the one `before`."""
    lines = [f"# {MARK}", *([f"# {interface.label}"] if interface.label else [])]
    lines += [f"DEVICE={interface.name}", f"HWADDR={interface.mac.upper()}", "TYPE=Ethernet", "ONBOOT=yes"]
    lines += ["BOOTPROTO=none"]
    for number, address in enumerate(interface.ips):
        suffix = str(number) if number else ""
        lines += [f"IPADDR{suffix}={address.address}", f"PREFIX{suffix}={address.prefix}"]
        lines += [f"NETMASK{suffix}={address.netmask}"]
    lines.append(f"DEFROUTE={'yes' if interface.gateway else 'no'}")
    if interface.gateway and not interface.gateway.direct:
        lines.append(f"GATEWAY={interface.gateway.gateway}")
    if interface.ip6s:
        first, *others = map(str, interface.ip6s)
        lines += ["IPV6INIT=yes", "IPV6_AUTOCONF=no", f"IPV6ADDR={first}"]
        lines += [f'IPV6ADDR_SECONDARIES="{" ".join(others)}"'] if others else []
        if interface.gateway6 and not interface.gateway6.direct:
            scope = f"%{interface.name}" if interface.gateway6.gateway.startswith("fe80:") else ""
            lines.append(f"IPV6_DEFAULTGW={interface.gateway6.gateway}{scope}")
    lines += [f"DNS{number}={server}" for number, server in enumerate(interface.dns, start=1)]
    found = re.findall(r"^\s*([A-Z0-9_]+)=(\"[^\"\n]*\"|'[^'\n]*'|\S*)[ \t]*$", before, re.MULTILINE)
    lines += [f"{key}={value}" for key, value in dict(found).items() if key in _KEPT]
    return "\n".join(lines) + "\n"


def routes(interface: Interface, version: int) -> str:
    """Return the file of one version's routes, "" where there are none: arguments of `ip route add`, line by line."""
    lines = []
    for way in interface.ways(version):
        if way.direct:
            lines.append(f"{way.gateway} dev {interface.name}")
        if way.to.prefix or way.direct:
            lines.append(f"{way.to} via {way.gateway} dev {interface.name}")
    return "\n".join(dict.fromkeys(lines)) + "\n" if lines else ""


def _managed(system: System) -> bool:
    return system.enabled("NetworkManager.service")
