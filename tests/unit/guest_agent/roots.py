"""Roots of guests for tests, each with the interfaces eth0 and eth1, and what nova would leave for them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from singularity import apply
from singularity.cache import Cache
from singularity.files import Files
from singularity.guest import Guest
from singularity.network.model import Network
from singularity.network.system import System
from singularity.network.vm_data import parse

MACS = {"bc:76:4e:00:00:01": "eth0", "bc:76:4e:00:00:02": "eth1"}
PUBLIC = {
    "label": "public",
    "mac": "BC:76:4E:00:00:01",
    "gateway": "192.0.2.1",
    "broadcast": "192.0.2.255",
    "ips": [
        {"ip": "192.0.2.42", "netmask": "255.255.255.0", "enabled": "1", "gateway": "192.0.2.1"},
        {"ip": "192.0.2.43", "netmask": "255.255.255.0", "enabled": "1", "gateway": "192.0.2.1"},
    ],
    "gateway_v6": "fe80::1",
    "ip6s": [
        {"ip": "2001:db8::42", "netmask": 64, "enabled": "1", "gateway": "fe80::1"},
        {"ip": "2001:db8::43", "netmask": 64, "enabled": "1", "gateway": "fe80::1"},
    ],
    "dns": ["192.0.2.53", "2001:db8::53"],
}
PRIVATE = {
    "label": "private",
    "mac": "BC:76:4E:00:00:02",
    "gateway": None,
    "ips": [{"ip": "10.1.2.3", "netmask": "255.255.192.0", "enabled": "1", "gateway": None}],
    "routes": [
        {"route": "10.176.0.0", "netmask": "255.240.0.0", "gateway": "10.1.0.1"},
        {"route": "192.168.0.0", "netmask": "255.255.0.0", "gateway": "10.200.0.1"},
    ],
}
FAR = {
    "mac": "BC:76:4E:00:00:01",
    "gateway": "198.51.100.1",
    "ips": [{"ip": "192.0.2.42", "netmask": "255.255.255.255", "enabled": "1"}],
    "gateway_v6": "2001:db8:1::1",
    "ip6s": [{"ip": "2001:db8::42", "netmask": 128, "enabled": "1"}],
}
EMPTY = {"mac": "BC:76:4E:00:00:01", "ips": [], "gateway": None}


def make(root: Path, files: dict[str, str]) -> Path:
    """Write these files below root, and the guest's interfaces."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for mac, name in MACS.items():
        folder = root / "sys/class/net" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "address").write_text(f"{mac}\n")
    return root


def vm_data(*interfaces: dict[str, Any], hostname: str | None = None) -> dict[str, str]:
    told = {f"networking/{one['mac'].replace(':', '')}": json.dumps(one) for one in interfaces}
    return {**told, **({"hostname": hostname} if hostname else {})}


def network(*interfaces: dict[str, Any]) -> Network:
    return parse(vm_data(*interfaces), MACS)


def system(root: Path) -> System:
    return System(Files(str(root)))


def guest(root: Path, noop: bool = False, functions: tuple[str, ...] = apply.ACTIONS, configurators: Any = ()) -> Guest:
    settings: Any = SimpleNamespace(functions=functions, configurators=configurators, root=str(root))
    return Guest(settings, Files(str(root), noop=noop), Cache(str(root / "var/cache/singularity")))


def written(changes: Any) -> dict[str, str | None]:
    return {change.path: change.content.decode() if change.content is not None else None for change in changes}
