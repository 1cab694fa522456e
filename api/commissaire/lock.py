"""The data folder is one process' at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from commissaire.configuration import SettingsError


def lock_data_dir(data_dir: Path, name: str = "lock", who: str = "commissaire-server") -> int:
    """Hold a lock in the data folder for this process alone; return a descriptor. The lock goes with the process.

    Raises:
        SettingsError: another process holds it.
    """
    descriptor = os.open(data_dir / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SettingsError(
            f"another {who} works on {data_dir}; stop it, or choose another folder with --data-dir"
        ) from None
    return descriptor
