# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A client of xenstored's unix socket.

See https://xenbits.xen.org/docs/unstable/misc/xenstore.txt and xen/include/public/io/xs_wire.h
"""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SOCKET = "/var/run/xenstored/socket"
MOST_BYTES = 4096
"""The payload of a message: a path, a NUL and a value."""
ANSWER_SECONDS = 10
TRIES = 20
_HEADER = struct.Struct("<IIII")
_DIRECTORY, _READ, _WATCH, _UNWATCH, _BEGIN, _END = 1, 2, 4, 5, 6, 7
_WRITE, _REMOVE, _EVENT, _ERROR, _DIRECTORY_PART = 11, 13, 15, 16, 20


class XenstoreError(Exception):
    """xenstored can't be reached, or answers with an error, which is then `code`, such as EACCES."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Xenstore:
    """A connection to xenstored. Paths are absolute; values are bytes."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._number = 0
        self._transaction = 0
        self._events: deque[str] = deque()
        self._received = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise XenstoreError(
                f"xenstored can't be reached at {path}: {error}; is this a Xen host's control domain, and socket right?"
            ) from error

    def close(self) -> None:
        """Close the connection; xenstored forgets its watches and its transaction then."""
        self._socket.close()

    def read(self, path: str) -> bytes | None:
        """Return a node's value; None when there is no such node."""
        try:
            return self._ask(_READ, _text(path))
        except XenstoreError as error:
            if error.code == "ENOENT":
                return None
            raise

    def write(self, path: str, value: bytes) -> None:
        """Write a node, and make it and those above it where they are missing."""
        self._ask(_WRITE, _text(path) + value)

    def remove(self, path: str) -> None:
        """Remove a node with all below it, if it is there."""
        try:
            self._ask(_REMOVE, _text(path))
        except XenstoreError as error:
            if error.code != "ENOENT":
                raise

    def list(self, path: str) -> list[str]:
        """Return the names of the nodes below one; none when there is no such node."""
        try:
            return _names(self._ask(_DIRECTORY, _text(path)))
        except XenstoreError as error:
            if error.code == "ENOENT":
                return []
            if error.code == "E2BIG":
                return self._list_in_parts(path)
            raise

    def watch(self, path: str, token: str) -> None:
        """Let `wait` tell of changes at and below a path. It tells of it once at the beginning, too."""
        self._ask(_WATCH, _text(path) + _text(token))

    def unwatch(self, path: str, token: str) -> None:
        """End that."""
        self._ask(_UNWATCH, _text(path) + _text(token))

    def wait(self, deadline: float) -> str | None:
        """Return the token of the next change, or None when there is none until `deadline` (of time.monotonic)."""
        while not self._events:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                self._note(*self._receive(left))
            except socket.timeout:
                return None
            except OSError as error:
                raise XenstoreError(f"xenstored at {self._path} is gone: {error}") from error
        return self._events.popleft()

    def transaction(self, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, which reads and writes in a transaction, again where others came between."""
        for attempt in range(TRIES):
            time.sleep(0.01 * attempt)
            self._transaction = int(self._ask(_BEGIN, b"\0").rstrip(b"\0"))
            try:
                result = work()
            except BaseException:
                self._end(b"F\0")
                raise
            try:
                self._end(b"T\0")
            except XenstoreError as error:
                if error.code != "EAGAIN":
                    raise
                continue
            return result
        raise XenstoreError(f"xenstored at {self._path} is too busy: {TRIES} transactions have failed", "EAGAIN")

    def _end(self, how: bytes) -> None:
        try:
            self._ask(_END, how)
        finally:
            self._transaction = 0

    def _list_in_parts(self, path: str) -> list[str]:
        """Read a folder that is too large for one message; from its beginning where it has changed meanwhile."""
        generation, read = b"", b""
        while True:
            answer = self._ask(_DIRECTORY_PART, _text(path) + _text(str(len(read))))
            now, _, part = answer.partition(b"\0")
            if now != generation:
                restart = bool(read)
                generation, read = now, b""
                if restart:
                    continue
            read += part
            if part.endswith(b"\0\0") or part in (b"", b"\0"):
                return _names(read)

    def _ask(self, kind: int, payload: bytes) -> bytes:
        if len(payload) > MOST_BYTES:
            raise XenstoreError(f"{len(payload)} bytes are too many for xenstore, which takes {MOST_BYTES}", "E2BIG")
        self._number += 1
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(_HEADER.pack(kind, self._number, self._transaction, len(payload)) + payload)
            while True:
                what, number, answer = self._receive(ANSWER_SECONDS)
                if what == _EVENT:
                    self._note(what, number, answer)
                elif number == self._number:
                    break
        except OSError as error:
            raise XenstoreError(f"xenstored at {self._path} does not answer: {error}") from error
        if what == _ERROR:
            code = answer.rstrip(b"\0").decode(errors="replace")
            where = payload.split(b"\0")[0].decode(errors="replace")
            raise XenstoreError(f"xenstored at {self._path} answers {code} for {where}", code)
        return answer

    def _note(self, what: int, _number: int, answer: bytes) -> None:
        if what == _EVENT:
            self._events.append(answer.split(b"\0")[1].decode(errors="replace"))

    def _receive(self, seconds: float) -> tuple[int, int, bytes]:
        """Return a message; what came of one that has not come whole in time stays for the next call."""
        self._socket.settimeout(seconds)
        self._fill(_HEADER.size)
        what, number, _transaction, length = _HEADER.unpack_from(self._received)
        self._fill(_HEADER.size + length)
        answer = bytes(self._received[_HEADER.size : _HEADER.size + length])
        del self._received[: _HEADER.size + length]
        return what, number, answer

    def _fill(self, length: int) -> None:
        while len(self._received) < length:
            data = self._socket.recv(65536)
            if not data:
                raise XenstoreError(f"xenstored at {self._path} has closed the connection")
            self._received += data


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _names(answer: bytes) -> list[str]:
    return [name.decode(errors="replace") for name in answer.split(b"\0") if name]
