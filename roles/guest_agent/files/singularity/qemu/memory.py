"""Files that lie in memory only."""

from __future__ import annotations

import os
from typing import BinaryIO


def in_memory(data: bytes) -> BinaryIO:
    """Return an open file, to be read from its beginning."""
    try:
        file: BinaryIO = os.fdopen(os.memfd_create("singularity", os.MFD_CLOEXEC), "wb+")
    except (AttributeError, OSError):  # Linux before 3.17, and Python built for it
        import tempfile

        file = tempfile.TemporaryFile(dir="/dev/shm")  # noqa: SIM115 (it is the caller's)
    try:
        file.write(data)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
