"""A guest for a target to work on: a folder, made anew for each run, and a look at what happened to it."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from singularity.guest import Guest, make
from singularity.settings import Settings

FUNCTIONS = ("network", "hosts", "hostname", "resolvers", "password", "file", "exec", "ssh_keys")
"""All but update, which fetches from wherever it is told."""
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where guests lie: what is written is synchronized often, which takes its time on disks."""
MAC = "bc:76:4e:00:00:01"
SECRET = "outside of the guest"
DENIED = "on the list of denied paths"
SECONDS_MOST = 5.0
"""Of computing for one input, however slow the computer is."""
TREE = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nann:x:0:0:Ann:/home/ann:/bin/sh\nbob:x:0:0:Bob:/home/bob:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nann:!:19000:0:99999:7:::\nbob:!:19000:0:99999:7:::\n",
    "etc/os-release": "ID=debian\n",
    "etc/hostname": "guest\n",
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "home/ann/.ssh/authorized_keys": "ssh-ed25519 AAAA ann\n",
    "sys/class/net/eth0/address": f"{MAC}\n",
    "denied/file": DENIED,
}


class Finding(AssertionError):
    """The agent did what it must not do."""


class Errors(logging.Handler):
    """The errors that the agent logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


class Machine:
    """A guest below `folder`, which has nothing else in it but a secret that links of the guest lead to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self._secret = folder / "secret"
        self._secret.write_text(SECRET)
        self._made: set[tuple[object, ...]] | None = None

    @contextmanager
    def guest(self, **settings: Any) -> Iterator[Guest]:
        """Make the guest's files as they are at the beginning, and give it to whoever works on it.

        Raise Finding at the end for what happened to anything but the guest, for errors that the agent logged (it
        catches what its functions raise, at its borders), and when it took long.
        """
        if self._made != _state(self.root):
            self._make()
            self._made = _state(self.root)
        values = {"functions": FUNCTIONS, "deny_paths": ("/denied",), "backup": False, **settings}
        began = time.process_time()
        with _errors() as errors:
            yield make(Settings(root=str(self.root), cache=str(self.root / "cache"), **values))
        took = time.process_time() - began
        if errors.messages:
            raise Finding("; ".join(errors.messages))
        if _names(self.folder) != ["root", "secret"] or self._secret.read_text() != SECRET:
            raise Finding("something outside of the root was changed")
        if _names(self.root / "denied") != ["file"] or (self.root / "denied/file").read_text() != DENIED:
            raise Finding("something on the list of denied paths was changed")
        if took > SECONDS_MOST:
            raise Finding(f"it took {took:.1f} s of computing")

    def _make(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        for path, text in TREE.items():
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.root / "relative").symlink_to("../secret")
        (self.root / "absolute").symlink_to(self._secret)
        (self.root / "home/bob").symlink_to("../../../../../..")
        os.mkfifo(self.root / "pipe")


@contextmanager
def _errors() -> Iterator[Errors]:
    """Collect what is logged as an error, in place of what else happens to it."""
    logger, errors = logging.getLogger("singularity"), Errors()
    before = logger.propagate, logger.level, list(logger.handlers)
    logger.propagate, logger.handlers[:] = False, [errors]
    logger.setLevel(logging.ERROR)
    try:
        yield errors
    finally:
        logger.propagate, logger.handlers[:] = before[0], before[2]
        logger.setLevel(before[1])


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _state(folder: Path) -> set[tuple[object, ...]]:
    """Return what changes whenever anything below a folder does."""
    found: set[tuple[object, ...]] = set()
    for path, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            status = os.lstat(f"{path}/{name}")
            found.add((path, name, status.st_ino, status.st_mode, status.st_uid, status.st_size, status.st_ctime_ns))
    return found
