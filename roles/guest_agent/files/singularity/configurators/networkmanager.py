"""NetworkManager: one keyfile an interface, preferred to other profiles (nm-settings-keyfile(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from singularity.configurators import MARK
from singularity.files import Change

if TYPE_CHECKING:
    from singularity.network.model import Address, Interface, Network
    from singularity.network.system import System

NAME = "networkmanager"
FOLDER = "/etc/NetworkManager/system-connections"
_PREFIX = "singularity-"
_UNIT = "NetworkManager.service"


def fits(system: System) -> int:
    """Rate by whether its unit is enabled, and whether it has profiles."""
    if system.enabled(_UNIT):
        return 3
    if system.program("NetworkManager") and not system.exists("/etc/systemd"):
        return 2
    profiles = system.names(FOLDER)
    if profiles:
        return 2
    return int(system.exists(FOLDER) or any(name in ("fedora", "rhel") for name in system.family()))


def plan(network: Network, system: System) -> List[Change]:
    """Return a profile for each interface; those of interfaces that are no more go."""
    changes = [Change(_path(one), keyfile(one).encode("ascii"), 0o600) for one in network.interfaces]
    paths = {change.path for change in changes}
    ours = [f"{FOLDER}/{name}" for name in system.names(FOLDER, ".nmconnection") if name.startswith(_PREFIX)]
    return changes + [Change(path, None) for path in ours if path not in paths]


def down(network: Network, system: System) -> List[List[str]]:
    """Return nothing: a profile that comes up takes the place of the one before."""
    return []


def up(network: Network, system: System) -> List[List[str]]:
    """Return what makes it read its profiles, and use the best for each interface: ours, while it is there."""
    commands = [["nmcli", "connection", "reload"]]
    for interface in network.interfaces:
        profile = ["uuid", uuid(interface)] if system.exists(_path(interface)) else []
        commands.append(["nmcli", "--wait", "20", "connection", "up", *profile, "ifname", interface.name])
    return commands


def keyfile(interface: Interface) -> str:
    """Return the profile of one interface."""
    lines = [f"# {MARK}", *([f"# {interface.label}"] if interface.label else [])]
    lines += ["[connection]", f"id={_PREFIX}{interface.name}", f"uuid={uuid(interface)}", "type=ethernet"]
    lines += [f"interface-name={interface.name}", "autoconnect-priority=999", ""]
    lines += ["[ethernet]", f"mac-address={interface.mac.upper()}", ""]
    lines += ["[ipv4]", *_version(interface, 4, interface.ips, "disabled"), ""]
    lines += ["[ipv6]", *_version(interface, 6, interface.ip6s, "auto")]
    return "\n".join(lines) + "\n"


def uuid(interface: Interface) -> str:
    """Return the profile's own name, always the same for an interface."""
    import uuid as uuids

    return str(uuids.uuid5(uuids.NAMESPACE_OID, f"singularity {interface.mac} {interface.name}"))


def _version(interface: Interface, version: int, addresses: tuple[Address, ...], without: str) -> List[str]:
    lines = [f"method={'manual' if addresses else without}"]
    lines += [f"address{number}={address}" for number, address in enumerate(addresses, start=1)]
    number = 0
    for way in interface.ways(version) if addresses else ():
        if not way.to.prefix:  # where it can't be reached, NetworkManager adds a route to it
            lines.append(f"gateway={way.gateway}")
            continue
        number += 1
        lines.append(f"route{number}={way.to},{way.gateway}")
        lines += [f"route{number}_options=onlink=true"] if way.direct else []
    servers = [server for server in interface.dns if (":" in server) == (version == 6)]
    return lines + ([f"dns={';'.join(servers)};"] if servers else [])


def _path(interface: Interface) -> str:
    return f"{FOLDER}/{_PREFIX}{interface.name}.nmconnection"
