"""File systems on block devices, by proc_pid_mountinfo(5). Others are not asked: a lost NFS server would stop us."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from .session import Session

MOUNTS = Path("/proc/self/mountinfo")
NO_DEVICE = "0"


class Mount(NamedTuple):
    device: str  # major:minor
    point: str
    kind: str
    source: str


def file_systems(session: Session) -> list[dict[str, Any]]:
    return [answer for mount in mounts(MOUNTS.read_bytes()) for answer in [_file_system(mount)] if answer]


def mounts(text: bytes) -> Iterator[Mount]:
    """Yield the mounts of block devices that a mountinfo tells of."""
    for line in text.splitlines():
        before, _, after = line.partition(b" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 5 or len(rest) < 2:
            continue
        mount = Mount(_plain(fields[2]), _plain(fields[4]), _plain(rest[0]), _plain(rest[1]))
        if _device(mount):
            yield mount


def _device(mount: Mount) -> str:
    """Return the name of a mount's block device; btrfs has numbers of its own, and says it as what is mounted."""
    if mount.device.partition(":")[0] != NO_DEVICE:
        return Path(os.path.realpath(f"/sys/dev/block/{mount.device}")).name
    if mount.kind == "btrfs" and mount.source.startswith("/dev/"):
        return Path(os.path.realpath(mount.source)).name
    return ""


def _file_system(mount: Mount) -> dict[str, Any] | None:
    try:
        size = os.statvfs(mount.point)
    except OSError:  # it was unmounted meanwhile, or lies below what is mounted over it
        return None
    used = size.f_blocks - size.f_bfree
    return {
        "name": _device(mount),
        "mountpoint": mount.point,
        "type": mount.kind,
        "used-bytes": used * size.f_frsize,
        "total-bytes": (used + size.f_bavail) * size.f_frsize,
        "total-bytes-privileged": size.f_blocks * size.f_frsize,
        "disk": [],
    }


def _plain(field: bytes) -> str:
    """Undo the kernel's octal escapes of blanks and backslashes."""
    for code in (b"040", b"011", b"012", b"134"):
        field = field.replace(b"\\" + code, bytes([int(code, 8)]))
    return os.fsdecode(field)
