"""The addresses and routes of the running system, asked of the kernel (rtnetlink(7)), which tells of changes, too."""

from __future__ import annotations

import select
import socket
import struct
import sys
from contextlib import suppress
from typing import Iterator, List, Mapping, Set, Tuple

from singularity.network.model import Network
from singularity.programs import Deadline

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, destination's and source's prefix, tos, table, protocol …
_ATTRIBUTE = struct.Struct("=HH")
_NEW_ADDRESS, _GET_ADDRESS, _NEW_ROUTE, _GET_ROUTE, _ERROR, _DONE = 20, 22, 24, 26, 2, 3
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_GROUPS = 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE
_SETTLING_SECONDS = 0.5
_Fact = Tuple[str, str]  # an interface, and what it has: "192.0.2.1", or "0.0.0.0/0 by 192.0.2.1"


def wait_for(network: Network, deadline: Deadline) -> List[str]:
    """Wait until all interfaces have their addresses and routes, or the time is over; return what is missing then."""
    wanted = {(one.name, str(ip.address)) for one in network.interfaces for ip in one.addresses}
    for one in network.interfaces:
        wanted |= {(one.name, f"{way.to} by {way.gateway}") for way in (*one.ways(4), *one.ways(6))}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as events:
        events.bind((0, _GROUPS))
        while True:
            missing = wanted - (addresses() | routes())
            if not missing or not deadline.left():
                return sorted(f"{what} on {name}" for name, what in missing)
            # The kernel takes IPv4 routes away without a word: it is looked at now and then, too.
            if select.select([events], [], [], min(deadline.left(), _SETTLING_SECONDS))[0]:
                with suppress(OSError):  # more happened than it holds: look again
                    events.recv(1 << 16)


def addresses() -> Set[_Fact]:
    """Return all addresses of the running system."""
    names = dict(socket.if_nameindex())
    found = set()
    for body in _dump(_GET_ADDRESS, _NEW_ADDRESS, _ADDRESS):
        family, _, _, _, index = _ADDRESS.unpack_from(body)
        attributes = _attributes(body[_ADDRESS.size :])
        raw = attributes.get(2, attributes.get(1))  # IFA_LOCAL, IFA_ADDRESS
        if raw and index in names and family in (socket.AF_INET, socket.AF_INET6):
            found.add((names[index], socket.inet_ntop(family, raw)))
    return found


def routes() -> Set[_Fact]:
    """Return the routes by gateways of the running system."""
    names = dict(socket.if_nameindex())
    found = set()
    for body in _dump(_GET_ROUTE, _NEW_ROUTE, _ROUTE):
        family, prefix, *_ = _ROUTE.unpack_from(body)
        attributes = _attributes(body[_ROUTE.size :])
        gateway, index = attributes.get(5), attributes.get(4)  # RTA_GATEWAY, RTA_OIF
        if gateway and index and family in (socket.AF_INET, socket.AF_INET6):
            to = socket.inet_ntop(family, attributes.get(1, bytes(len(gateway))))  # RTA_DST
            name = names.get(int.from_bytes(index, sys.byteorder), "")
            found.add((name, f"{to}/{prefix} by {socket.inet_ntop(family, gateway)}"))
    return found


def _dump(question: int, answer: int, head: struct.Struct) -> Iterator[bytes]:
    """Yield what the kernel answers to a question for everything."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.bind((0, 0))
        kernel.settimeout(5)
        kernel.send(_HEADER.pack(_HEADER.size + head.size, question, _DUMP, 1, 0) + bytes(head.size))
        while True:
            for kind, body in _messages(kernel.recv(1 << 16)):
                if kind in (_DONE, _ERROR):
                    return
                if kind == answer:
                    yield body


def _messages(data: bytes) -> Iterator[Tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[max(_HEADER.size, -(-length // 4) * 4) :]


def _attributes(data: bytes) -> Mapping[int, bytes]:
    found = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        found[kind] = data[_ATTRIBUTE.size : length]
        data = data[max(_ATTRIBUTE.size, -(-length // 4) * 4) :]
    return found
