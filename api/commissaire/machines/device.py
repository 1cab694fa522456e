"""A device that a client plugs into a machine: somebody's XML, of which only what is known to be harmless is taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from commissaire.fleet.errors import Invalid
from commissaire.machines.machine import list_machines

MAX_BYTES = 16 * 1024
_NAME = r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,199}"
_WORD = r"[A-Za-z0-9-]{1,32}"


@dataclass(frozen=True)
class _Allowed:
    """What an element may have: attributes and text by pattern, children by name; and what it must have."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    children: Mapping[str, _Allowed] = field(default_factory=dict)
    text: str = ""
    needs: tuple[str, ...] = ()


_DEVICES = {
    "interface": _Allowed(
        {"type": "network"},
        {
            "source": _Allowed({"network": _NAME}, needs=("network",)),
            "mac": _Allowed({"address": r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"}, needs=("address",)),
            "model": _Allowed({"type": _WORD}, needs=("type",)),
        },
        needs=("type", "source"),
    ),
    "disk": _Allowed(
        {"type": "volume", "device": "disk|cdrom"},
        {
            "driver": _Allowed({"name": "qemu", "type": "raw|qcow2"}),
            "source": _Allowed({"pool": _NAME, "volume": _NAME}, needs=("pool", "volume")),
            "target": _Allowed({"dev": r"[a-z]{1,16}", "bus": "scsi|virtio|sata|ide|usb"}, needs=("dev",)),
            "readonly": _Allowed(),
            "serial": _Allowed(text=r"[A-Za-z0-9_.+-]{1,64}"),
        },
        needs=("type", "source", "target"),
    ),
}


@dataclass(frozen=True)
class Device:
    """A device that may be plugged in; `xml` is made anew, and so has nothing that was not looked at."""

    xml: str
    network: str = ""
    pool: str = ""
    volume: str = ""

    def __str__(self) -> str:
        return f"a port on network {self.network}" if self.network else f"volume {self.volume} of pool {self.pool}"


def read_device(xml: str) -> Device:
    """Return the device that *xml* describes.

    Raises:
        Invalid: it is no XML, or has something that is not allowed; the message names it.
    """
    root = _parse(xml)
    if root.tag not in _DEVICES:
        raise Invalid(f"a device {_shown(root.tag)} is not allowed; there are {' and '.join(_DEVICES)}")
    _check(root, _DEVICES[root.tag], root.tag)
    source = root.find("source")
    told = {} if source is None else dict(source.attrib)
    return Device(ElementTree.tostring(root, encoding="unicode"), **told)


def check_reach(device: Device, domain: Any, owner: str) -> None:
    """See that *owner* plugs in what is theirs: a volume of the machine, or a network that a machine of theirs is on.

    Raises:
        Invalid: it is not theirs to plug in.
    """
    machine = domain.name()
    if device.volume and not re.fullmatch(rf"{re.escape(machine)}-[A-Za-z0-9]+", device.volume):
        raise Invalid(
            f"volume {device.volume} is none of machine {machine}'s, which are called {machine}-WORD; "
            "choose one of those, or ask an administrator"
        )
    if device.network:
        theirs = {
            network for one in list_machines(domain.connect(), "") if one.owner == owner for network in one.networks
        }
        if device.network not in theirs:
            raise Invalid(
                f"no machine of {owner} is on network {device.network}; choose one of "
                f"{', '.join(sorted(theirs)) or 'none'}, or ask an administrator"
            )


def _parse(xml: str) -> ElementTree.Element:
    """Parse *xml* without any document type: entities are neither declared nor expanded."""
    data = xml.encode()
    if len(data) > MAX_BYTES:
        raise Invalid(f"the device's XML is larger than {MAX_BYTES} bytes")
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Invalid(f"the device is no XML: {error}") from error
    return builder.close()


def _refuse_doctype(*_: object) -> NoReturn:
    raise Invalid("the device's XML has a document type (<!DOCTYPE>), and so perhaps entities; leave it out")


def _check(element: ElementTree.Element, allowed: _Allowed, path: str) -> None:
    for name, value in element.attrib.items():
        if name not in allowed.attributes:
            raise Invalid(f"{path} with {_shown(name)} is not allowed; {_list(allowed.attributes, 'attributes')}")
        if not re.fullmatch(allowed.attributes[name], value):
            raise Invalid(f"{path}: {name} can't be {_shown(value)}; it must match {allowed.attributes[name]}")
    seen: set[str] = set()
    for child in element:
        if child.tag not in allowed.children:
            raise Invalid(f"{_shown(child.tag)} in {path} is not allowed; {_list(allowed.children, 'elements')}")
        if child.tag in seen:
            raise Invalid(f"{path} has {child.tag} twice")
        seen.add(child.tag)
        _check(child, allowed.children[child.tag], f"{path}/{child.tag}")
        if (child.tail or "").strip():
            raise Invalid(f"{path} has a text between its elements")
    if not re.fullmatch(allowed.text, (element.text or "").strip()):
        raise Invalid(f"{path} has a text that is not allowed")
    missing = [name for name in allowed.needs if name not in seen and name not in element.attrib]
    if missing:
        raise Invalid(f"{path} has no {missing[0]}, and needs one")


def _list(names: Mapping[str, object], noun: str) -> str:
    return f"its {noun} are {', '.join(names)}" if names else f"it has no {noun}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
