"""Work that a process of its own does: what it loads leaves with it, and it can be given up in time."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import Callable, NoReturn, Set

from singularity.errors import Refused, reason

CHUNK = 65536
not_inherited: Set[int] = set()
"""Descriptors that a child closes at once: the pidfile's lock, and the channels.

It may outlive a daemon that was killed, and nobody could take them then.
"""
DONE, REFUSED = b"0", b"1"


def in_child(work: Callable[[], bytes], seconds: float) -> bytes:
    """Return what *work* returns. Raises Refused where it raises, or takes longer than so many *seconds*."""
    reader, writer = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if child == 0:
        _work(work, writer)
    os.close(writer)
    try:
        said = _read(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        with suppress(ChildProcessError, ProcessLookupError):  # somebody waits for all children
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if said is None:
        raise Refused(f"not within {seconds:g} s")
    if said[:1] != DONE:
        raise Refused(said[1:].decode("utf-8", "replace") or "a process of the agent was killed")
    return said[1:]


def _work(work: Callable[[], bytes], writer: int) -> NoReturn:
    """Be the child: nothing of the parent's is touched, not even by an exception."""
    try:
        for fd in not_inherited - {writer}:
            with suppress(OSError):
                os.close(fd)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        said = DONE + work()
    except BaseException as error:
        said = REFUSED + reason(error).encode("utf-8", "replace")
    try:
        while said:
            said = said[os.write(writer, said) :]
    finally:
        os._exit(0)


def _read(reader: int, deadline: float) -> "bytes | None":
    """Return all that comes; None where its end does not come in time."""
    said = b""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        piece = os.read(reader, CHUNK)
        if not piece:
            return said
        said += piece
    return None
