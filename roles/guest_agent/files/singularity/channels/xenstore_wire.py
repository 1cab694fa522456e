"""A client of xenstored's wire protocol, over its unix socket or Linux's /dev/xen/xenbus.

See docs/misc/xenstore.txt and xen/include/public/io/xs_wire.h of Xen. One request is under way at a time. A path
without a leading slash lies below the home of the domain that asks.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import struct
import time
from typing import List, Optional, Tuple

DIRECTORY, READ, WATCH, WRITE, MKDIR, RM, WATCH_EVENT, ERROR, DIRECTORY_PART = 1, 2, 4, 11, 12, 13, 15, 16, 22
MOST_PAYLOAD = 4096
ANSWER_SECONDS = 10
CHUNK = 65536
MOST_CHANGES = 8
"""So often a long list is read anew because it changed; after that one may lack what a watch tells of."""
_HEADER = struct.Struct("<IIII")


class Lost(Exception):
    """The connection is over; the message says why."""


class XenstoreClient:
    """A connection. What xenstored refuses is raised as the OSError that it names, and the end of it as Lost."""

    def __init__(self, path: str) -> None:
        """Connect to the socket or open the device at *path*. Raises OSError."""
        self._socket: Optional[socket.socket] = None
        if stat.S_ISSOCK(os.stat(path).st_mode):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)  # a daemon that takes no connections must not stop this one
            try:
                self._socket.connect(path)
            except OSError as error:
                self._socket.close()
                raise OSError(error.errno, error.strerror, path) from error
            self.fd = self._socket.fileno()
        else:
            self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._number = 0
        self._input = bytearray()
        self._events: List[str] = []

    def close(self) -> None:
        """End the connection."""
        if self._socket:
            self._socket.close()
        else:
            os.close(self.fd)

    def read(self, path: str) -> bytes:
        """Return the value of a node. Raises FileNotFoundError."""
        return self._ask(READ, _path(path))

    def list(self, path: str) -> List[str]:
        """Return the names of a node's children, however many there are. Raises FileNotFoundError."""
        try:
            names = self._ask(DIRECTORY, _path(path))
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            names = self._list_in_parts(path)
        return [name.decode("utf-8", "surrogateescape") for name in names.split(b"\0") if name]

    def write(self, path: str, value: bytes) -> None:
        """Set the value of a node, and make it where it isn't there."""
        self._ask(WRITE, _path(path) + value)

    def make(self, path: str) -> None:
        """Make a node, with its parents, where it isn't there."""
        self._ask(MKDIR, _path(path))

    def remove(self, path: str) -> None:
        """Remove a node and what is below it."""
        self._ask(RM, _path(path))

    def watch(self, path: str) -> None:
        """Have a node watched, and all below it: see `events`. One event comes at once."""
        self._ask(WATCH, _path(path) + _path(path))

    def events(self) -> List[str]:
        """Return the paths that changed since the last call, without waiting for any. Raises Lost."""
        while self._receive(0):
            pass
        events, self._events = self._events, []
        return events

    def _list_in_parts(self, path: str) -> bytes:
        """List a node that has more children than fit into one answer, and again when they change meanwhile."""
        names, generation, changes = b"", b"", 0
        while True:
            answer = self._ask(DIRECTORY_PART, _path(path) + str(len(names)).encode() + b"\0")
            now, _, part = answer.partition(b"\0")
            if names and now != generation and changes < MOST_CHANGES:
                names, changes = b"", changes + 1
                continue
            generation = now
            names += part[:-1] if part.endswith(b"\0\0") or part == b"\0" else part
            if part.endswith(b"\0\0") or part in (b"", b"\0"):
                return names

    def _ask(self, kind: int, payload: bytes) -> bytes:
        if len(payload) > MOST_PAYLOAD:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        self._number = self._number % 0xFFFFFFFF + 1
        self._send(_HEADER.pack(kind, self._number, 0, len(payload)) + payload)
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            message = self._receive(max(0.0, deadline - time.monotonic()))
            if message is None:
                raise Lost(f"xenstore did not answer within {ANSWER_SECONDS} s")
            answered, answer = message
            if answered == ERROR:
                name = answer.rstrip(b"\0").decode("ascii", "replace")
                number = getattr(errno, name, errno.EIO)
                raise OSError(number, os.strerror(number))
            if answered == kind:
                return answer
            if answered != WATCH_EVENT:
                raise Lost(f"xenstore answered {answered} to {kind}")

    def _send(self, message: bytes) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while message:
            try:
                message = message[os.write(self.fd, message) :]
            except BlockingIOError:
                if not self._wait(select.POLLOUT, max(0.0, deadline - time.monotonic())):
                    raise Lost(f"xenstore took no request within {ANSWER_SECONDS} s") from None
            except OSError as error:
                raise Lost(error.strerror) from error

    def _receive(self, seconds: float) -> Optional[Tuple[int, bytes]]:
        """Return the type and payload of the next message, or None where none comes in time; an event is noted."""
        deadline = time.monotonic() + seconds
        while True:
            message = self._cut()
            if message:
                if message[0] == WATCH_EVENT:
                    self._events.append(message[1].partition(b"\0")[0].decode("utf-8", "surrogateescape"))
                return message
            try:
                data = os.read(self.fd, CHUNK)
            except BlockingIOError:
                if not self._wait(select.POLLIN, max(0.0, deadline - time.monotonic())):
                    return None
                continue
            except OSError as error:
                raise Lost(error.strerror) from error
            if not data:
                raise Lost("xenstore closed the connection")
            self._input += data

    def _cut(self) -> Optional[Tuple[int, bytes]]:
        if len(self._input) < _HEADER.size:
            return None
        kind, _, _, size = _HEADER.unpack_from(self._input)
        if size > MOST_PAYLOAD:
            raise Lost("xenstore sent more than its protocol allows")
        end = _HEADER.size + size
        if len(self._input) < end:
            return None
        payload = bytes(self._input[_HEADER.size : end])
        del self._input[:end]
        return kind, payload

    def _wait(self, what: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self.fd, what)
        return bool(poll.poll(seconds * 1000))


def _path(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape") + b"\0"
