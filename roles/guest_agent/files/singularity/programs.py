"""Programs of the system that the agent calls: by argument lists, never through a shell, never for longer than told."""

from __future__ import annotations

import logging
import os
import time
from typing import Mapping, Sequence

from singularity.errors import Refused

FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin")
_ENVIRONMENT = {"PATH": ":".join(FOLDERS), "LANG": "C", "LC_ALL": "C"}
_log = logging.getLogger("singularity")


def find(name: str) -> str | None:
    """Return the path of a program of the running system, whatever PATH the agent was started with; None if absent."""
    for folder in FOLDERS:
        path = f"{folder}/{name}"
        if os.access(path, os.X_OK):
            return path
    return None


def run(argv: Sequence[str], seconds: float = 30.0, given: bytes = b"") -> bytes:
    """Return what a program prints when it is given `given`. Raise Refused when it fails, is absent or takes longer."""
    import subprocess

    try:
        done = subprocess.run(
            list(argv),
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=max(seconds, 0.1),
            env=_environment(),
            cwd="/",
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{argv[0]} took longer than {seconds:.0f} s") from error
    except OSError as error:
        raise Refused(f"{argv[0]} can not be started: {error.strerror}") from error
    if done.returncode:
        words = (done.stderr or done.stdout).decode("ascii", "replace").split()
        raise Refused(f"{' '.join(argv[:3])} failed ({done.returncode}): {' '.join(words)[-300:]}")
    return done.stdout


def attempt(argv: Sequence[str], seconds: float = 30.0) -> bool:
    """Run a program whose failure is no reason to stop: it is logged. Return whether it succeeded."""
    try:
        run(argv, seconds)
    except Refused as refused:
        _log.warning("%s", refused)
        return False
    return True


class Deadline:
    """A time by which several steps have to be done together."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds until then, 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("DBUS_SYSTEM_BUS_ADDRESS", "TERM") if name in os.environ}
    return {**_ENVIRONMENT, **kept}
