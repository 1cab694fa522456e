"""The names of channels, as --channel has them."""

from __future__ import annotations

import os
from typing import List, Tuple

from singularity.errors import SettingsError

QEMU_PORT = "org.qemu.guest_agent.0"
PORTS = "/dev/virtio-ports"
XENBUS = ("/dev/xen/xenbus", "/proc/xen/xenbus")


def parse(name: str) -> Tuple[str, str]:
    """Return the kind and the address of a channel, which may be empty for xenstore and auto. Raises SettingsError."""
    kind, _, address = name.partition(":")
    if kind in ("auto", "xenstore") and not address:
        return kind, ""
    if kind in ("xenstore", "unix") and address:
        return kind, os.path.abspath(address)
    if kind == "virtio":
        return kind, os.path.join(PORTS, address or QEMU_PORT)
    if kind == "vsock" and address.isdecimal() and 0 < int(address) < 2**32:
        return kind, address
    raise SettingsError(
        f"{name!r} is no channel; one is auto, xenstore[:SOCKET], unix:PATH, virtio[:PORT] or vsock:PORT"
    )


def absolute(name: str) -> str:
    """Return the name of the same channel as it is for a process in another folder. Raises SettingsError."""
    kind, address = parse(name)
    return f"{kind}:{address}" if kind in ("xenstore", "unix") and address else name


def present() -> List[str]:
    """Return the names of the channels that this machine has, by which `auto` goes."""
    found = []
    if xenstore_path():
        found.append("xenstore")
    if os.path.exists(os.path.join(PORTS, QEMU_PORT)):
        found.append("virtio")
    return found


def xenstore_path() -> str:
    """Return where xenstore is reached by default; empty where there is none.

    XENSTORED_PATH and XENSTORED_RUNDIR mean the same as to Xen's own programs.
    """
    path = os.environ.get("XENSTORED_PATH", "")
    folder = os.environ.get("XENSTORED_RUNDIR", "")
    if path or folder:
        return path or os.path.join(folder, "socket")
    return next((path for path in XENBUS if os.path.exists(path)), "")
