"""netplan: a YAML file of our own; netplan adds up what several files say, so the others lose these interfaces."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Tuple

from singularity.configurators import MARK, networkd
from singularity.errors import Refused
from singularity.files import Change

if TYPE_CHECKING:
    from singularity.network.model import Interface, Network
    from singularity.network.system import System

NAME = "netplan"
FOLDER = "/etc/netplan"
FILE = f"{FOLDER}/90-singularity.yaml"
_KINDS = ("ethernets", "wifis")


def fits(system: System) -> int:
    """Rate by whether it is installed, and has files."""
    files = system.names(FOLDER, ".yaml") or system.names("/lib/netplan", ".yaml")
    if system.program("netplan"):
        return 4 if files else 2  # it gives others their files: it goes before them
    if files:
        return 2
    return int(system.exists(FOLDER) or system.family()[0] == "ubuntu")


def plan(network: Network, system: System) -> List[Change]:
    """Return our file, and the others without the interfaces in it, those called otherwise there included."""
    changes = []
    renamed = set()
    for name in system.names(FOLDER, ".yaml"):
        path = f"{FOLDER}/{name}"
        if path != FILE:
            rest, found = without(system.read(path), network.interfaces, path)
            renamed |= found
            changes.append(Change(path, rest.encode("utf-8", "surrogateescape")))
    before = system.read(FILE)
    renamed |= {one.name for one in network.interfaces if f"set-name: {json.dumps(one.name)}" in before}
    return [*changes, Change(FILE, yaml(network, renamed).encode("ascii"), 0o600)]


def down(network: Network, system: System) -> List[List[str]]:
    """Return what takes all addresses away: what stays of them takes routes along later on."""
    return networkd.down(network, system)


def up(network: Network, system: System) -> List[List[str]]:
    """Return what makes files for the system's own service of it, and that service read them and look what is there."""
    restart = ["-systemctl", "try-restart", networkd.UNIT]
    return [["netplan", "generate"], ["netplan", "apply"], ["-systemctl", "reset-failed", networkd.UNIT], restart]


def yaml(network: Network, renamed: Iterable[str] = ()) -> str:
    """Return our file; those in `renamed` get their names from it, by their MAC addresses."""
    lines = [f"# {MARK}", "network:", "  version: 2", "  ethernets:"]
    for interface in network.interfaces:
        lines += [f"    # {interface.label}"] if interface.label else []
        lines.append(f"    {json.dumps(interface.name)}:")
        settings = _settings(interface)
        if interface.name in renamed:
            settings = {"match": {"macaddress": interface.mac}, "set-name": interface.name, **settings}
        lines += [f"      {key}: {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"


def without(text: str, interfaces: Iterable[Interface], path: str) -> Tuple[str, set[str]]:
    """Return a file without some interfaces, and which of them got their names from it.

    They may be called otherwise in it, and be matched by MAC address. Raise Refused where it is not laid out in lines.
    """
    lines = text.splitlines(keepends=True)
    gone: set[int] = set()
    renamed = set()
    for start, end, kind, name in _blocks(lines, path):
        body = "".join(lines[start + 1 : end])
        for interface in interfaces:
            set_name = re.search(r"^\s*set-name:\s*[\"']?([^\s\"']+)", body, re.MULTILINE)
            named = set_name.group(1) if set_name else name
            if kind in _KINDS and (named == interface.name or interface.mac in body.lower()):
                gone.update(range(start, end))
                renamed |= {interface.name} if set_name else set()
    kept = "".join(line for number, line in enumerate(lines) if number not in gone)
    return _without_empty(kept) if gone else text, renamed


def _settings(interface: Interface) -> Dict[str, Any]:
    settings: Dict[str, Any] = {"dhcp4": False, "dhcp6": False}
    if interface.ip6s:
        settings["accept-ra"] = False
    settings["addresses"] = [str(address) for address in interface.addresses]
    ways = (*interface.ways(4), *interface.ways(6))
    routes = [{"to": str(way.to), "via": way.gateway, **({"on-link": True} if way.direct else {})} for way in ways]
    if routes:
        settings["routes"] = routes
    if interface.dns:
        settings["nameservers"] = {"addresses": list(interface.dns)}
    return settings


def _blocks(lines: List[str], path: str) -> List[Tuple[int, int, str, str]]:
    """Return the definitions in a file: first line, the line behind the last, kind (ethernets …) and name."""
    found = []
    above: List[Tuple[int, str]] = []  # the keys that a line stands below, by their indentation
    open_blocks: List[Tuple[int, int, str, str]] = []  # indentation, start, kind, name
    for number, line in enumerate(lines):
        content = line.split(" #")[0].rstrip() if not line.lstrip().startswith("#") else ""
        if not content.strip() or content.strip() in ("---", "..."):
            continue
        indent = len(content) - len(content.lstrip())
        while open_blocks and open_blocks[-1][0] >= indent:
            _, start, kind, name = open_blocks.pop()
            found.append((start, _end(lines, start, number), kind, name))
        above = [(depth, key) for depth, key in above if depth < indent]
        key, colon, value = content.strip().partition(":")
        if "\t" in content[:indent] or (
            len(above) < 2 and (not colon or value.strip().startswith(("{", "&", "*", "|")))
        ):
            raise Refused(f"{path} is not laid out in lines: take these interfaces out of it first")
        key = key.strip().strip("\"'")
        if len(above) == 2 and above[0][1] == "network":
            open_blocks.append((indent, number, above[1][1], key))
        above.append((indent, key))
    for _, start, kind, name in open_blocks:
        found.append((start, _end(lines, start, len(lines)), kind, name))
    return found


def _end(lines: List[str], start: int, behind: int) -> int:
    """Return the line behind a block: remarks and empty lines before the next one belong to that."""
    while behind > start + 1 and (not lines[behind - 1].strip() or lines[behind - 1].lstrip().startswith("#")):
        behind -= 1
    return behind


def _without_empty(text: str) -> str:
    """Return a file without keys that have nothing below them any more: netplan takes such for an error."""
    lines = text.splitlines(keepends=True)
    for number in reversed(range(len(lines))):
        found = re.fullmatch(r"( *)(\w+):\s*", lines[number])
        if found and found.group(2) in (*_KINDS, "network"):
            rest = [one for one in lines[number + 1 :] if one.strip() and not one.lstrip().startswith("#")]
            if not rest or len(rest[0]) - len(rest[0].lstrip()) <= len(found.group(1)):
                del lines[number]
    return "".join(lines)
