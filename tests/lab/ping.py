"""An echo request in the network of a lab; no program for it is needed."""

import socket
import struct
import time

from .laboratory import Lab


def ping(lab: Lab, address: str, seconds: float = 20) -> bool:
    """Tell whether an address answers an echo request (RFC 792) within some seconds."""

    def ask() -> bool:
        body = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"lab!"
        total = sum(struct.unpack("!6H", body))
        total = (total & 0xFFFF) + (total >> 16)
        request = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
            wire.settimeout(0.5)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    wire.sendto(request, (address, 0))
                    reply, (sender, _) = wire.recvfrom(1500)
                except OSError:
                    continue
                if sender == address and reply[20] == 0:
                    return True
        return False

    return lab.inside(ask)
