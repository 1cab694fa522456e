# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest agent by a unix socket: the agent's own, or that of a QEMU character device; in both dialects."""

from __future__ import annotations

import json
import secrets
import socket
import time
from typing import Any

from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError

MOST_BYTES = 64 * 1024 * 1024
"""So much of an answer is read: what an agent sends is its guest's to choose."""


class SocketLines:
    """A unix socket on which the QEMU guest agent's dialect is spoken: a JSON object a line."""

    def __init__(self, path: str) -> None:
        self._stream = _Stream(path)
        self._synced = False

    def exchange(self, question: str, seconds: float) -> str:
        """Return the agent's answer. Raise GuestError."""
        deadline = time.monotonic() + seconds
        if not self._synced:
            self._sync(deadline)
        try:
            self._stream.send(question.encode() + b"\n", deadline)
            return self._stream.receive(b"\n", deadline).decode(errors="replace")
        except GuestError:
            self._synced = False  # the answer may come yet, and is not that to the next question
            raise

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()

    def _sync(self, deadline: float) -> None:
        """Let the agent forget what somebody may have left half-way, and leave behind what it has said to them."""
        number = secrets.randbelow(2**31)
        question = json.dumps({"execute": "guest-sync-delimited", "arguments": {"id": number}})
        self._stream.send(b"\xff" + question.encode() + b"\n", deadline)
        while True:
            self._stream.receive(b"\xff", deadline)
            line = self._stream.receive(b"\n", deadline)
            try:
                if json.loads(line)["return"] == number:
                    self._synced = True
                    return
            except (ValueError, KeyError, TypeError):
                continue


class SocketMessages:
    """A unix socket on which nova's dialect is spoken: a JSON object, ended by a blank line."""

    def __init__(self, path: str) -> None:
        self._stream = _Stream(path)

    def exchange(self, request: dict[str, Any], seconds: float) -> str:
        """Return the agent's reply to a request. Raise GuestError."""
        deadline = time.monotonic() + seconds
        self._stream.send(json.dumps(request).encode() + b"\n\n", deadline)
        return self._stream.receive(b"\n\n", deadline).decode(errors="replace")

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()


class _Stream:
    def __init__(self, path: str) -> None:
        self._path = path
        self._left = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(5)
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise GuestError(f"nobody answers on the socket {path}: {error}; is the machine on?") from error

    def send(self, data: bytes, deadline: float) -> None:
        try:
            self._wait_until(deadline)
            self._socket.sendall(data)
        except socket.timeout as error:
            raise GuestError(f"its guest agent reads nothing on the socket {self._path}; is it running?") from error
        except OSError as error:
            raise GuestError(f"its guest agent is gone from the socket {self._path}: {error}") from error

    def receive(self, end: bytes, deadline: float) -> bytes:
        """Return what comes before `end`."""
        looked = 0
        while True:
            at = self._left.find(end, looked)
            if at >= 0:
                found = bytes(self._left[:at])
                del self._left[: at + len(end)]
                return found
            looked = max(0, len(self._left) - len(end) + 1)
            if len(self._left) > MOST_BYTES:
                raise GuestError(f"its guest agent says more than {MOST_BYTES} bytes at once on {self._path}")
            self._left += self._more(deadline)

    def close(self) -> None:
        self._socket.close()

    def _more(self, deadline: float) -> bytes:
        try:
            self._wait_until(deadline)
            data = self._socket.recv(65536)
        except socket.timeout as error:
            why = "it may be busy (timeout_seconds), speak another dialect (dialect), or not run"
            raise GuestError(f"its guest agent does not answer on the socket {self._path}: {why}") from error
        except OSError as error:
            raise GuestError(f"its guest agent is gone from the socket {self._path}: {error}") from error
        if not data:
            raise GuestError(f"its guest agent has closed the socket {self._path}")
        return data

    def _wait_until(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout
        self._socket.settimeout(left)
