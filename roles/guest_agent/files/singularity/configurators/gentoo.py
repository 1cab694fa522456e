"""Gentoo's netifrc: the variables of /etc/conf.d/net, among those of others (net.example of net-misc/netifrc)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterable, List

from singularity.files import Change

if TYPE_CHECKING:
    from singularity.network.model import Interface, Network
    from singularity.network.system import System

NAME = "gentoo"
FILE = "/etc/conf.d/net"
_SCRIPTS = "/etc/init.d"
_VARIABLES = ("config", "routes", "dns_servers", "fallback", "dhcp", "dhcpcd", "gateway")
_OURS = "# singularity: "


def fits(system: System) -> int:
    """Rate by whether the scripts are there, and systemd is not."""
    scripts = system.exists(f"{_SCRIPTS}/net.lo")
    if scripts and not system.exists("/etc/systemd/system"):
        return 3
    return 2 if scripts or system.exists(FILE) else int("gentoo" in system.family())


def plan(network: Network, system: System) -> List[Change]:
    """Return the file with the network's variables at its end, and none of theirs before."""
    kept = without(system.read(FILE), [one.name for one in network.interfaces])
    ours = "\n".join(map(variables, network.interfaces))
    return [Change(FILE, f"{kept}{chr(10) if kept else ''}{ours}".encode("utf-8", "surrogateescape"))]


def down(network: Network, system: System) -> List[List[str]]:
    """Return what takes the interfaces down as their present variables say."""
    known = [one.name for one in network.interfaces if system.exists(f"{_SCRIPTS}/net.{one.name}")]
    return [["rc-service", f"net.{name}", "stop"] for name in known]


def up(network: Network, system: System) -> List[List[str]]:
    """Return what takes them up, now and at each boot."""
    commands = []
    for name in (one.name for one in network.interfaces):
        if not system.link(f"{_SCRIPTS}/net.{name}"):
            commands.append(["ln", "-s", "net.lo", f"{_SCRIPTS}/net.{name}"])
        commands.append(["rc-update", "add", f"net.{name}", "default"])
        commands.append(["rc-service", f"net.{name}", "restart"])
    return commands


def variables(interface: Interface) -> str:
    """Return the variables of one interface."""
    name = _variable(interface.name)
    ways = []
    for way in (*interface.ways(4), *interface.ways(6)):
        ways += [f"{way.gateway} dev {interface.name}"] if way.direct else []
        ways.append(f"{'default' if not way.to.prefix else way.to} via {way.gateway}")
    servers = [" ".join(interface.dns)]
    parts = (("config", map(str, interface.addresses)), ("routes", ways), ("dns_servers", servers))
    lines = [f"{_OURS}{interface.label}".rstrip()]
    for key, values in parts:
        text = "\n".join(values)
        if text or key == "config":
            lines.append(f'{key}_{name}="{text or "null"}"')
    return "\n".join(lines) + "\n"


def without(text: str, names: Iterable[str]) -> str:
    """Return the file without the variables of some interfaces, whatever lines they take, and without our remarks."""
    which = "|".join(re.escape(_variable(name)) for name in names)
    if not which:
        return text
    values = r"(?:\([^)]*\)|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"'(]*)"
    pattern = rf"^[ \t]*(?:{'|'.join(_VARIABLES)})_(?:{which})\+?={values}[ \t]*(?:#[^\n]*)?\n?"
    text = re.sub(pattern, "", text, flags=re.MULTILINE | re.DOTALL)
    return (
        re.sub(rf"^{re.escape(_OURS.rstrip())}.*\n?", "", text, flags=re.MULTILINE).strip("\n") + "\n" if text else ""
    )


def _variable(name: str) -> str:
    """Return an interface's name as it stands in variables."""
    return re.sub(r"\W", "_", name)
