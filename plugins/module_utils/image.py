# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A disk image in a file, before it becomes a volume (https://www.qemu.org/docs/master/interop/qcow2.html)."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"QFI\xfb"
EXTERNAL_DATA = 1 << 2
"""The bit of the incompatible features that says that the data are in another file."""
LEAKS_ONLY = 3
"""How qemu-img check ends when an image has room that nothing uses, which harms nobody."""


def check_qcow2(source: Path) -> None:
    """See that a file is a whole qcow2 image that leads to no other file of the hypervisor's.

    Whether it is whole is told only where qemu-img is installed. Raise ValueError where it can't be used.
    """
    try:
        with source.open("rb") as file:
            header = file.read(104).ljust(104, b"\0")
    except OSError as error:
        raise ValueError(f"source {source} can't be read here: {error.strerror}") from error
    if header[:4] != MAGIC:
        raise ValueError(f"source {source} is no qcow2 image; convert it (qemu-img convert), or say format: raw")
    version, backing = struct.unpack(">IQ", header[4:16])
    features = struct.unpack(">Q", header[72:80])[0] if version >= 3 else 0
    if backing or features & EXTERNAL_DATA:
        raise ValueError(
            f"source {source} is not all of the image: the rest is in a file that it names; convert it "
            "(qemu-img convert), or use backing for a copy on write"
        )
    if not shutil.which("qemu-img"):
        return
    command = ["qemu-img", "check", "-q", "--format=qcow2", str(source)]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, LEAKS_ONLY):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[0] if said else f"it ended with {done.returncode}"
        raise ValueError(f"source {source} is corrupt; fetch it again; qemu-img check says: {why}")
