# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What vm-data says of a guest's network: the form in which OpenStack's XenAPI hosts tell guests of it."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAC = re.compile(r"[0-9A-F]{12}")
_HOSTNAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*")


def vm_data(hostname: str | None, interfaces: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the nodes below vm-data, `hostname` and `networking/MAC` each. Raise ValueError for what can't be.

    The interfaces are as the module guest_network takes them.
    """
    data = {}
    if hostname:
        if not _HOSTNAME.fullmatch(hostname):
            raise ValueError(f"hostname {hostname} is none; letters, digits, - and . make one")
        data["hostname"] = hostname
    routes = {4: 0, 6: 0}
    for interface in interfaces:
        mac = str(interface["mac"]).replace(":", "").replace("-", "").upper()
        if not _MAC.fullmatch(mac):
            raise ValueError(f'{interface["mac"]} is no MAC address; write it as "52:54:00:12:34:56", in quotes')
        name = f"networking/{mac}"
        if name in data:
            raise ValueError(f"interface {interface['mac']} is there twice")
        told = _interface(interface)
        for family, gateway in ((4, told["gateway"]), (6, told["gateway_v6"])):
            routes[family] += gateway is not None
            if routes[family] > 1:
                raise ValueError(f"several interfaces have a gateway of IPv{family}; give it to one of them")
        data[name] = json.dumps(told, sort_keys=True)
    return data


def shown(data: Mapping[str, str]) -> dict[str, Any]:
    """Return vm-data as a diff shows it."""
    return {name: _read(value) if name.startswith("networking/") else value for name, value in data.items()}


def _interface(interface: Mapping[str, Any]) -> dict[str, Any]:
    mac = ":".join(re.findall("..", re.sub("[:-]", "", str(interface["mac"])).upper()))
    told: dict[str, Any] = {
        "label": interface.get("label") or "public",
        "mac": mac,
        "gateway": _address(interface.get("gateway"), 4),
        "gateway_v6": _address(interface.get("gateway_v6"), 6),
        "ips": [_ip(each, 4) for each in interface.get("ips") or ()],
        "ip6s": [_ip(each, 6) for each in interface.get("ip6s") or ()],
        "routes": [_route(each) for each in interface.get("routes") or ()],
        "dns": [str(ipaddress.ip_address(each)) for each in interface.get("dns") or ()],
    }
    if told["ips"]:
        first = told["ips"][0]
        told["broadcast"] = str(ipaddress.ip_interface(f"{first['ip']}/{first['netmask']}").network.broadcast_address)
    return told


def _ip(given: Mapping[str, Any], family: int) -> dict[str, Any]:
    address = ipaddress.ip_interface(f"{given['ip']}/{given['netmask']}")
    if address.version != family:
        raise ValueError(f"{given['ip']} is no address of IPv{family}")
    told = {
        "ip": str(address.ip),
        "netmask": str(address.netmask) if family == 4 else str(address.network.prefixlen),
        "enabled": "1" if given.get("enabled", True) else "0",
    }
    gateway = _address(given.get("gateway"), family)
    return {**told, "gateway": gateway} if gateway else told


def _route(given: Mapping[str, Any]) -> dict[str, str]:
    network = ipaddress.ip_network(f"{given['route']}/{given['netmask']}")
    netmask = str(network.netmask) if network.version == 4 else str(network.prefixlen)
    gateway = _address(given["gateway"], network.version)
    return {"route": str(network.network_address), "netmask": netmask, "gateway": str(gateway)}


def _address(given: str | None, family: int) -> str | None:
    if not given:
        return None
    address = ipaddress.ip_address(given)
    if address.version != family:
        raise ValueError(f"gateway {given} is no address of IPv{family}")
    return str(address)


def _read(value: str) -> Any:
    try:
        return json.loads(value, strict=False)
    except ValueError:
        return value
