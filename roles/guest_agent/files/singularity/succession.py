"""The moments after a new version took over: where it does not come up, the former one is put back."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import Callable, List, NoReturn

READY = "SINGULARITY_SUCCESSION"
"""The environment variable by which a successor knows the descriptor to say on that it is up, and who listens."""
SECONDS = 10.0
END_SECONDS = 5.0
PAUSE_SECONDS = 0.05
SUPERVISED = ("NOTIFY_SOCKET", "INVOCATION_ID", "RC_SVCNAME")
"""What systemd or openrc leave in the environment, who start a daemon anew that has ended."""


def guard(put_back: Callable[[], None], command: List[str]) -> None:
    """Let a child watch what this process becomes; it calls *put_back* where that ends or is silent for too long.

    Where nobody else starts the daemon anew, the child becomes it, by *command*.
    """
    reader, writer = os.pipe()
    heir = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(writer)
        _watch(reader, heir, put_back, command)
    os.close(reader)
    os.set_inheritable(writer, True)
    os.environ[READY] = f"{writer} {child}"


def is_up() -> None:
    """Say that this process is up, where somebody watches it."""
    fd, _, child = os.environ.pop(READY, "").partition(" ")
    if fd.isdigit() and child.isdigit():
        with suppress(OSError):
            os.write(int(fd), b"1")
            os.close(int(fd))
            os.waitpid(int(child), 0)


def _watch(reader: int, heir: int, put_back: Callable[[], None], command: List[str]) -> NoReturn:
    """Be the child."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # systemd ends all that the heir leaves behind
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        if poll.poll(SECONDS * 1000) and os.read(reader, 1):
            os._exit(0)
        deadline = time.monotonic() + END_SECONDS
        while os.getppid() == heir and time.monotonic() < deadline:
            os.kill(heir, signal.SIGKILL)
            time.sleep(PAUSE_SECONDS)
        put_back()
        if not any(name in os.environ for name in SUPERVISED):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.execv(command[0], command)
    finally:
        os._exit(1)
