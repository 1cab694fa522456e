"""Block devices and their partitions, by sysfs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

from .session import Session

BLOCKS = Path("/sys/block")


def disks(session: Session) -> list[dict[str, Any]]:
    return [answer for folder in sorted(BLOCKS.iterdir()) for answer in _disk(folder)]


def _disk(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield a disk, and its partitions; nothing for a drive without a medium and a loop device without a file."""
    if _read(folder / "size") in ("", "0") or folder.name.startswith("ram"):
        return
    name = _node(folder.name)
    slaves = [_node(slave.name) for slave in sorted(folder.glob("slaves/*"))]
    disk: dict[str, Any] = {"name": name, "partition": False, "dependencies": slaves}
    alias = _read(folder / "dm/name")
    yield {**disk, "alias": alias} if alias else disk
    for partition in sorted(folder.glob(f"{folder.name}*/partition")):
        yield {"name": _node(partition.parent.name), "partition": True, "dependencies": [name]}


def _node(name: str) -> str:
    """A slash in a device's name is an exclamation mark in sysfs."""
    return "/dev/" + name.replace("!", "/")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
