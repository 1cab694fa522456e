"""The guest's network interfaces, by rtnetlink(7): two questions for all of them."""

from __future__ import annotations

import socket
import struct
from typing import Any, Iterator

from .session import Session

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, kind, index, flags, change
ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
STATISTICS = struct.Struct("=8Q")  # the beginning of rtnl_link_stats64
ERROR, DONE = 2, 3
NEW_LINK, GET_LINK, NEW_ADDRESS, GET_ADDRESS = 16, 18, 20, 22
REQUEST_OF_ALL = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
LINK_ADDRESS, LINK_NAME, LINK_STATISTICS = 1, 3, 23
ADDRESS_OF_PEER, ADDRESS_LOCAL = 1, 2
COUNTERS = ("rx-packets", "tx-packets", "rx-bytes", "tx-bytes", "rx-errs", "tx-errs", "rx-dropped", "tx-dropped")
FAMILIES = {int(socket.AF_INET): "ipv4", int(socket.AF_INET6): "ipv6"}
BUFFER_BYTES = 1 << 16
ANSWER_SECONDS = 5.0


def interfaces(session: Session) -> list[dict[str, Any]]:
    found = dict(map(_link, _ask(GET_LINK, NEW_LINK)))
    for message in _ask(GET_ADDRESS, NEW_ADDRESS):
        index, address = _address(message)
        if address and index in found:
            found[index].setdefault("ip-addresses", []).append(address)
    return list(found.values())


def _ask(question: int, wanted: int) -> Iterator[bytes]:
    """Yield the payloads of all messages of a kind that the kernel answers with."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(ANSWER_SECONDS)
        payload = LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        kernel.send(HEADER.pack(HEADER.size + len(payload), question, REQUEST_OF_ALL, 1, 0) + payload)
        while True:
            data = kernel.recv(BUFFER_BYTES)
            while len(data) >= HEADER.size:
                length, kind, *_ = HEADER.unpack_from(data)
                if kind == DONE:
                    return
                if kind == ERROR or length < HEADER.size:
                    raise OSError(0, "the kernel does not tell of network interfaces")
                if kind == wanted:
                    yield data[HEADER.size : length]
                data = data[_aligned(length) :]


def _link(message: bytes) -> tuple[int, dict[str, Any]]:
    _, _, index, *_ = LINK.unpack_from(message)
    attributes = _attributes(message[LINK.size :])
    link: dict[str, Any] = {"name": attributes[LINK_NAME].rstrip(b"\0").decode(errors="surrogateescape")}
    hardware = attributes.get(LINK_ADDRESS, b"")
    if len(hardware) == 6:
        link["hardware-address"] = ":".join(f"{byte:02x}" for byte in hardware)
    if len(attributes.get(LINK_STATISTICS, b"")) >= STATISTICS.size:
        link["statistics"] = dict(zip(COUNTERS, STATISTICS.unpack_from(attributes[LINK_STATISTICS])))
    return index, link


def _address(message: bytes) -> tuple[int, dict[str, Any] | None]:
    """Of a point-to-point link this end's address is another attribute than that of its peer."""
    family, prefix, _, _, index = ADDRESS.unpack_from(message)
    attributes = _attributes(message[ADDRESS.size :])
    packed = attributes.get(ADDRESS_LOCAL) or attributes.get(ADDRESS_OF_PEER)
    if family not in FAMILIES or not packed:
        return index, None
    return index, {
        "ip-address": socket.inet_ntop(family, packed),
        "ip-address-type": FAMILIES[family],
        "prefix": prefix,
    }


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        if length < ATTRIBUTE.size:
            break
        found[kind] = data[ATTRIBUTE.size : length]
        data = data[_aligned(length) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
