"""What the hypervisor leaves in vm-data, read as tolerantly as it is written: by nova, and by earlier hosts."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from singularity.errors import Refused
from singularity.network.model import Address, Interface, Network, Route

MOST = 64
"""Of interfaces, and of addresses, routes and name servers on one."""
_MAC = re.compile(r"[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.:-]{0,14}", re.ASCII)  # what can stand in every format without quotes
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*", re.ASCII)
_LONGEST_HOSTNAME = 64  # HOST_NAME_MAX
_GATEWAYS = {"gateway": ("gateway",), "gateway6": ("gateway_v6", "gateway6")}
"""What an interface's default gateways are called here, and by hosts."""
_TRUE = (True, 1, "1", "true", "True", "yes")
_NO_ADDRESS = (None, "", "0.0.0.0", "::")  # noqa: S104  how hosts say that there is none
_FALSE = (False, 0, "0", "false", "False", "no", "", None)


def parse(vm_data: Mapping[str, str], names: Mapping[str, str]) -> Network:
    """Return the network that `vm_data` describes: keys `hostname` and `networking/<MAC without colons>`.

    `names` has the guest's interfaces: MAC address (lower case, with colons) to name. Raise Refused for an unknown
    one, for several default routes of one version, and for whatever can't be understood.
    """
    entries = {}
    hostname = None
    for key, value in vm_data.items():
        kind, _, rest = _text(key, "a key of vm-data").strip("/").rpartition("vm-data/")[2].partition("/")
        if kind == "hostname" and not rest:
            hostname = hostname_of(value)
        elif kind == "networking" and rest:
            entries[rest] = value
    if len(entries) > MOST:
        raise Refused(f"vm-data has more than {MOST} interfaces")
    interfaces: Dict[str, Interface] = {}
    guessed = {}
    for key, value in sorted(entries.items()):
        interface, guessed_of_it = _interface(key, value, names)
        if interface.name in interfaces:
            raise Refused(f"vm-data has {interface.mac} twice")
        interfaces[interface.name] = interface
        guessed[interface.name] = guessed_of_it
    for gateway in _GATEWAYS:
        found = [one.name for one in interfaces.values() if getattr(one, gateway)]
        guesses = [name for name in found if gateway in guessed[name]]
        for name in guesses if len(guesses) < len(found) else ():
            nothing: Dict[str, Any] = {gateway: None}
            interfaces[name] = replace(interfaces[name], **nothing)
    _one_default([one.gateway for one in interfaces.values()], "IPv4")
    _one_default([one.gateway6 for one in interfaces.values()], "IPv6")
    return Network(tuple(interfaces[name] for name in sorted(interfaces)), hostname)


def hostname_of(value: Any) -> str | None:
    """Return the host name in a text, None for an empty one. Raise Refused for what is none (RFC 1123, and _)."""
    name = _text(value, "the host name").strip().rstrip(".")
    if not name:
        return None
    if len(name) > _LONGEST_HOSTNAME or not _HOSTNAME.fullmatch(name):
        raise Refused("that is no host name: letters, digits and hyphens, 64 characters at most")
    return name


def servers_of(value: Any) -> Tuple[str, ...]:
    """Return name servers: a list of addresses (or objects with one), or a text of them with commas or spaces."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    found = []
    for one in _list(value, "dns"):
        if isinstance(one, dict):
            one = one.get("address", one.get("ip"))
        if one not in _NO_ADDRESS:
            found.append(address_of(one, "a name server"))
    return tuple(dict.fromkeys(found))


def mac_of(value: Any) -> str:
    """Return a MAC address in lower case with colons, however it was written. Raise Refused for what is none."""
    mac = re.sub("[:. -]", "", _text(value, "a MAC address")).lower()
    if not _MAC.fullmatch(mac):
        raise Refused("vm-data has an interface without a MAC address")
    return ":".join(mac[at : at + 2] for at in range(0, 12, 2))


def address_of(value: Any, what: str, version: int | None = None) -> str:
    """Return an address in its usual form, without a scope. Raise Refused for what can be no machine's."""
    text = _text(value, what).strip().partition("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise Refused(f"vm-data has {what} that is no IP address") from error
    if version and address.version != version:
        raise Refused(f"vm-data has {what} that is not of IPv{version}")
    useless = address.is_multicast or address.is_unspecified or (address.is_reserved and address.version == 4)
    if useless and what != "a route":
        raise Refused(f"vm-data has {what} that no machine can have")
    return str(address)


def _interface(key: str, value: Any, names: Mapping[str, str]) -> Tuple[Interface, List[str]]:
    """Return an interface, and which of its default gateways are one of its addresses', as its own is null."""
    data = _json(value)
    mac = mac_of(data["mac"] if data.get("mac") else key)
    name = names.get(mac)
    if name is None:
        raise Refused(f"this guest has no interface {mac}")
    if not _NAME.fullmatch(name):
        raise Refused(f"interface {mac} has a name that can not stand in a file")
    ips, default = _addresses(data, "ips", 4)
    ip6s, default6 = _addresses(data, "ip6s", 6)
    given = _list(data.get("routes"), "routes")
    routes = [
        _route(one, ips + ip6s)
        for one in given
        if not isinstance(one, dict) or one.get("gateway", "missing") not in _NO_ADDRESS
    ]
    gateways, guessed = [], []
    for version, have, own, field in ((4, ips, default, "gateway"), (6, ip6s, default6, "gateway6")):
        keys = _GATEWAYS[field]
        found = [_way(_any(version), gateway, version, have) for gateway in _gateways(data, keys, own) if have]
        defaults = [route for route in routes if route.to == _any(version)]
        if not defaults and any(key in data for key in keys) and not _stated(data, keys):
            guessed.append(field)
        found += defaults
        gateways.append(_one_default(list(dict.fromkeys(found)), f"IPv{version}"))
    interface = Interface(
        name=name,
        mac=mac,
        label=_label(data.get("label")),
        ips=tuple(ips),
        ip6s=tuple(ip6s),
        gateway=gateways[0],
        gateway6=gateways[1],
        routes=tuple(dict.fromkeys(route for route in routes if route.to.prefix)),
        dns=servers_of(data.get("dns")),
    )
    return interface, guessed


def _json(value: Any) -> Dict[str, Any]:
    try:
        data = json.loads(value, strict=False) if isinstance(value, (str, bytes)) else value
    except (ValueError, RecursionError) as error:
        raise Refused("vm-data has an interface that is no JSON") from error
    if not isinstance(data, dict):
        raise Refused("vm-data has an interface that is no JSON object")
    return data


def _addresses(data: Dict[str, Any], key: str, version: int) -> Tuple[List[Address], List[Any]]:
    """Return the enabled addresses under `key`, and the gateways that stand with them."""
    found = []
    gateways = []
    for given in _list(data.get(key), key):
        if not isinstance(given, dict):
            raise Refused(f"vm-data has something else than addresses in {key}")
        enabled = given.get("enabled", True)
        if isinstance(enabled, (list, dict)) or (enabled not in _TRUE and enabled not in _FALSE):
            raise Refused("enabled is neither 1 nor 0")
        if enabled not in _TRUE:
            continue
        text, _, behind = _text(given.get("ip") or given.get("address"), "an address").partition("/")
        mask = given.get("netmask")
        prefix = _prefix(mask if mask is not None else behind, version)
        found.append(Address(address_of(text, "an address", version), prefix))
        gateways.append(given.get("gateway"))
    return list(dict.fromkeys(found)), gateways


def _gateways(data: Dict[str, Any], keys: Sequence[str], own: Sequence[Any]) -> List[Any]:
    """Return the default gateways: the interface's own, else those that stand with its addresses."""
    return _stated(data, keys) or [gateway for gateway in own if gateway not in _NO_ADDRESS]


def _stated(data: Dict[str, Any], keys: Sequence[str]) -> List[Any]:
    return [data[key] for key in keys if data.get(key) not in _NO_ADDRESS]


def _route(given: Any, addresses: Sequence[Address]) -> Route:
    if not isinstance(given, dict):
        raise Refused("vm-data has something else than routes in routes")
    text, _, behind = _text(given.get("route"), "a route").partition("/")
    network = address_of(text, "a route")
    version = 6 if ":" in network else 4
    mask = given.get("netmask")
    prefix = _prefix(mask if mask is not None else behind, version)
    network = str(ipaddress.ip_network(f"{network}/{prefix}", strict=False).network_address)
    return _way(Address(network, prefix), given.get("gateway"), version, addresses)


def _way(to: Address, gateway: Any, version: int, addresses: Sequence[Address]) -> Route:
    text = address_of(gateway, "a gateway", version)
    own = [one for one in addresses if one.version == version]
    link_local = version == 6 and ipaddress.ip_address(text).is_link_local
    return Route(to, text, direct=not link_local and not any(one.reaches(text) for one in own))


def _any(version: int) -> Address:
    return Address("0.0.0.0" if version == 4 else "::", 0)  # noqa: S104  a route to everywhere, nothing listens


def _one_default(found: Sequence[Route | None], kind: str) -> Route | None:
    routes = [route for route in found if route]
    if len(routes) > 1:
        raise Refused(f"vm-data has several default routes for {kind}")
    return routes[0] if routes else None


def _prefix(value: Any, version: int) -> int:
    """Return the length of a prefix: a number, a text of one, or a mask."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise Refused("vm-data has an address without a netmask")
    text = str(value).strip() if not isinstance(value, int) or 0 <= value <= 128 else ""
    if text.count(".") == 3 if version == 4 else ":" in text:
        try:
            ones = f"{int(ipaddress.ip_address(text)):0{32 if version == 4 else 128}b}"
        except ValueError as error:
            raise Refused("vm-data has a netmask that is none") from error
        if "01" in ones:
            raise Refused("vm-data has a netmask with gaps")
        return ones.count("1")
    if not re.fullmatch("[0-9]{1,3}", text, re.ASCII) or int(text) > (32 if version == 4 else 128):
        raise Refused("vm-data has a netmask that is none")
    return int(text)


def _label(value: Any) -> str:
    """Return a label as a comment can hold it."""
    text = value if isinstance(value, str) else ""
    return " ".join(re.sub(r"[^A-Za-z0-9 ._-]", " ", text).split())[:64]


def _list(value: Any, what: str) -> List[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(f"vm-data has {what} that are no list")
    if len(value) > MOST:
        raise Refused(f"vm-data has more than {MOST} {what}")
    return value


def _text(value: Any, what: str) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise Refused(f"vm-data has {what} that is no text")
    return value
