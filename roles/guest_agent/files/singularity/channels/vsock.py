"""A vsock port, by which the hypervisor connects without a network. See vsock(7)."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from singularity.channels.listener import Listener

if TYPE_CHECKING:
    from singularity.dialects import Dialects
    from singularity.loop import Loop

ANY, HOST = 0xFFFFFFFF, 2
"""VMADDR_CID_ANY and VMADDR_CID_HOST."""


def vsock(name: str, port: int, loop: Loop, dialects: Dialects) -> Listener:
    """Return the channel of a *port* of this machine."""
    return Listener(name, loop, dialects, lambda: _listen(port), admit=is_host)


def is_host(peer: Any) -> bool:
    """Tell whether who connects is the hypervisor: processes of this machine, and machines in it, can do so, too."""
    return bool(peer[0] == HOST)


def _listen(port: int) -> socket.socket:
    if not hasattr(socket, "AF_VSOCK"):
        raise OSError(errno.EAFNOSUPPORT, "This Python has no vsock")
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind((ANY, port))
        listener.listen(16)
    except OSError:
        listener.close()
        raise
    return listener
