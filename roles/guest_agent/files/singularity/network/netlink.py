"""The addresses of the running system, asked of the kernel (rtnetlink(7)): it also tells when they change."""

from __future__ import annotations

import select
import socket
import struct
from typing import Iterator, Mapping, Set, Tuple

from singularity.network.model import Network
from singularity.programs import Deadline

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_MESSAGE = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
_ATTRIBUTE = struct.Struct("=HH")
_NEW_ADDRESS, _GET_ADDRESS, _DONE, _ERROR = 20, 22, 3, 2
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_ADDRESS, _LOCAL = 1, 2


def wait_for(network: Network, deadline: Deadline) -> Set[str]:
    """Wait until all interfaces have all their addresses, or the time is over; return those that are missing."""
    wanted = {(one.name, str(ip.address)) for one in network.interfaces for ip in one.addresses}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as events:
        events.bind((0, _GROUPS))
        while True:
            missing = wanted - addresses()
            if not missing or not deadline.left():
                return {f"{address} on {name}" for name, address in missing}
            if select.select([events], [], [], deadline.left())[0]:
                try:
                    events.recv(1 << 16)
                except OSError:  # more happened than it holds: look again
                    continue


def addresses() -> Set[Tuple[str, str]]:
    """Return all addresses of the running system, each with its interface's name."""
    names = dict(socket.if_nameindex())
    found = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.bind((0, 0))
        kernel.settimeout(5)
        request = _MESSAGE.pack(0, 0, 0, 0, 0)
        kernel.send(_HEADER.pack(_HEADER.size + len(request), _GET_ADDRESS, _DUMP, 1, 0) + request)
        done = False
        while not done:
            for kind, body in _messages(kernel.recv(1 << 16)):
                if kind in (_DONE, _ERROR):
                    done = True
                elif kind == _NEW_ADDRESS:
                    family, _, _, _, index = _MESSAGE.unpack_from(body)
                    attributes = _attributes(body[_MESSAGE.size :])
                    raw = attributes.get(_LOCAL, attributes.get(_ADDRESS))
                    if raw and index in names and family in (socket.AF_INET, socket.AF_INET6):
                        found.add((names[index], socket.inet_ntop(family, raw)))
    return found


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
