"""Mutual exclusion by directory, without a lock file that would outlive what it locks."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(directory: Path, create: bool = False) -> Iterator[bool]:
    """Hold the lock of `directory`; yield False, without one, when it isn't there. `create` makes it first."""
    while True:
        if create:
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if create:
                continue
            yield False
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is(handle, directory):
                yield True
                return
        finally:
            os.close(handle)


def _is(handle: int, directory: Path) -> bool:
    """Tell whether `directory` is still the one that was opened, not its successor."""
    try:
        return os.path.samestat(os.fstat(handle), directory.stat())
    except FileNotFoundError:
        return False
