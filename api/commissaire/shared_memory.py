"""Folders in memory (tmpfs), for what must touch no disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil

_KINDS = ("tmpfs", "ramfs")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of our own below it


def shared_folder(runtime: Path) -> Path:
    """Return the folder in Linux's shared memory of the server whose folder of sockets is *runtime*.

    That one is in memory mostly, not always. Everybody may make folders there: see `is_our_own`.
    """
    return _SHARED_MEMORY / runtime.name


def is_our_own(path: Path) -> bool:
    """Return whether a folder is this user's, and no other can move what is in it."""
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def is_in_memory(path: Path) -> bool:
    """Return whether a folder that is there lies in a file system in memory."""
    kinds = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    path = path.resolve()
    return next((kinds[str(place)] for place in (path, *path.parents) if str(place) in kinds), "") in _KINDS
