"""Debian's ifupdown: /etc/network/interfaces, whose stanzas for other interfaces stay (interfaces(5))."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterable, List

from singularity.files import Change

if TYPE_CHECKING:
    from singularity.network.model import Interface, Network, Route
    from singularity.network.system import System

NAME = "debian"
FILE = "/etc/network/interfaces"
_FOLDER = "/etc/network/interfaces.d"
_LOOPBACK = "auto lo\niface lo inet loopback\n"
_STANZA = re.compile(r"\s*(iface|mapping|auto|allow-\S+|source|source-directory|rename|template|no-\S+)\s+(.*)")
_OURS = "# singularity: "


def fits(system: System) -> int:
    """Rate by what is installed, and whether it sets up anything but the loopback."""
    texts = [system.read(FILE), *(system.read(f"{_FOLDER}/{name}") for name in system.names(_FOLDER))]
    used = any(re.search(r"^\s*iface\s+(?!lo\b)\S", text, re.MULTILINE) for text in texts)
    installed = system.program("ifup")
    if used and (installed or not system.exists("/usr/bin")):
        return 3
    if (installed and system.exists(FILE)) or used:
        return 2
    return int(system.exists("/etc/network") or "debian" in system.family()[:1])


def plan(network: Network, system: System) -> List[Change]:
    """Return interfaces with the network's stanzas at its end, and other files without theirs."""
    names = [interface.name for interface in network.interfaces]
    kept = without(system.read(FILE), names) or _LOOPBACK
    changes = [Change(FILE, _bytes(f"{kept.rstrip()}\n\n" + "\n".join(map(stanzas, network.interfaces))))]
    for name in system.names(_FOLDER):
        path = f"{_FOLDER}/{name}"
        changes.append(Change(path, _bytes(without(system.read(path), names))))
    return changes


def down(network: Network, system: System) -> List[List[str]]:
    """Return what takes the interfaces down as their present stanzas say."""
    return [["ifdown", "--force", interface.name] for interface in network.interfaces]


def up(network: Network, system: System) -> List[List[str]]:
    """Return what takes the interfaces up: what was on them goes, whoever put it there."""
    commands = []
    for interface in network.interfaces:
        commands.append(["ip", "address", "flush", "dev", interface.name, "scope", "global"])
        commands.append(["ifup", "--force", interface.name])
    return commands


def stanzas(interface: Interface) -> str:
    """Return the stanzas of one interface: one for each address.

    The first of each version has the default gateway; the last has the other routes, as any address may lead to them.
    """
    name = interface.name
    lines = [f"{_OURS}{interface.label}".rstrip(), f"auto {name}"]
    for version, addresses in ((4, interface.ips), (6, interface.ip6s)):
        for number, address in enumerate(addresses):
            mask = address.netmask if version == 4 else address.prefix
            lines.append(f"iface {name} inet{'' if version == 4 else '6'} static")
            lines += [f"    address {address.address}", f"    netmask {mask}"]
            ways = list(_ways(name, interface.ways(version)))
            lines += [f"    {line}" for line in ways if line.startswith("gateway ") and number == 0]
            if number == len(addresses) - 1:
                lines += [f"    {line}" for line in ways if not line.startswith("gateway ")]
            if number == 0:
                servers = [server for server in interface.dns if (":" in server) == (version == 6)]
                lines += [f"    dns-nameservers {' '.join(servers)}"] if servers else []
    if not interface.addresses:
        lines.append(f"iface {name} inet manual")
    return "\n".join(lines) + "\n"


def without(text: str, names: Iterable[str]) -> str:
    """Return interfaces without the stanzas of `names`, their aliases included, and without our own remarks."""
    gone = set(names)
    kept = []
    dropping = False
    continued = False
    for line in text.splitlines():
        found = None if continued else _STANZA.fullmatch(line)
        continued = line.endswith("\\")
        if found:
            kind, words = found.group(1), found.group(2).split()
            dropping = kind in ("iface", "mapping") and bool(words) and words[0].partition(":")[0] in gone
            if kind == "auto" or kind.startswith(("allow-", "no-auto-down", "no-scripts")):
                others = [word for word in words if word.partition(":")[0] not in gone]
                if not others:
                    continue
                if others != words:
                    line = f"{kind} {' '.join(others)}"
        if line.startswith(_OURS.rstrip()) or dropping:
            continue
        kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept).strip("\n") + "\n").lstrip("\n")


def _ways(name: str, ways: Iterable[Route]) -> Iterable[str]:
    for way in ways:
        option = "-6 " if way.to.version == 6 else ""
        if not way.to.prefix and not way.direct:
            yield f"gateway {way.gateway}"
        elif way.direct and way.to.version == 6:  # which has no onlink for every kernel
            yield f"up ip -6 route replace {way.gateway} dev {name}"
            yield f"up ip -6 route replace {way.to} via {way.gateway} dev {name}"
        else:
            onlink = " onlink" if way.direct else ""
            yield f"up ip {option}route replace {way.to} via {way.gateway} dev {name}{onlink}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
