"""The pidfile: which process the daemon is. A lock on it tells whether that one lives; a number alone does not."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import Optional

from singularity.child import not_inherited
from singularity.errors import Refused

ATTEMPTS = 5
PAUSE_SECONDS = 0.02


class Pidfile:
    """The pidfile at a path."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def running(self) -> Optional[int]:
        """Return the daemon's process id, or None where there is none. Raises OSError."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(fd, 32).strip()
            return int(text) if text.isdigit() else None
        finally:
            os.close(fd)
        return None

    def take(self) -> None:
        """Make it this process's. Raises Refused where another one has it, and OSError."""
        os.makedirs(os.path.dirname(self.path), 0o755, exist_ok=True)
        for _ in range(ATTEMPTS):
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.exists(self.path) and os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    break
            except BlockingIOError:
                pass  # whoever asks whether the daemon runs holds it for a moment
            os.close(fd)
            time.sleep(PAUSE_SECONDS)
        else:
            raise Refused(f"The daemon runs already: {self.path} is locked")
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        not_inherited.add(fd)

    def give(self, uid: int, gid: int) -> None:
        """Let another user remove it, and its folder's other files."""
        os.fchown(self._fd, uid, gid)

    def release(self) -> None:
        """Remove it; nothing happens where it is another's."""
        if self._fd >= 0:
            with suppress(OSError):  # the folder may be root's, and this process another user's: its lock says enough
                os.unlink(self.path)
            not_inherited.discard(self._fd)
            os.close(self._fd)
            self._fd = -1
