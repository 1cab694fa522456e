"""Messages in a stream of bytes, whoever sends them: one JSON object each, or what was meant to be one."""

from __future__ import annotations

import json
import re
from typing import NamedTuple, Optional

MOST_BYTES = 4 * 2**20
SHOWN_BYTES = 512
_TOKEN = re.compile(rb'\\[^\xff\n]|\\\Z|["{}\n\xff]', re.DOTALL)
_NEXT = re.compile(rb"\n(?=\{)|\n[ \t\r]*\n|\xff")
_END_OF_LINE = re.compile(rb"[\n\xff]")
_SPACE = b" \t\r\n\0"
_MOST_SPACE = 1024


class Frame(NamedTuple):
    """One message; `flaw` says why it is none. Of one that is too long, `data` is only the beginning."""

    data: bytes
    flaw: str = ""


_DROPPED = Frame(b"")


class Framer:
    """Cuts a stream into messages.

    A message ends with the brace that closes it, whatever lines it is written on; or, incomplete, at a blank line, and
    before a line that is a whole request. What is no object ends with its line. A byte 0xFF drops what was begun, as
    guest-sync-delimited of QEMU's guest agent wants it.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self.reset()

    def reset(self) -> None:
        """Forget what was begun."""
        self._buffer = bytearray()
        self._skipping = False
        self._begin()

    @property
    def has_begun(self) -> bool:
        """Whether a message is here in part."""
        return bool(self._buffer) or self._skipping

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._buffer += data

    def next(self) -> Optional[Frame]:
        """Return the next message, or None where it is not all there yet."""
        while True:
            if self._skipping and not self._skip():
                return None
            if self._at == 0:
                self._strip()
            if not self._buffer:
                return None
            frame = self._scan() if self._buffer.startswith(b"{") else self._line_of_no_object()
            if frame is None:
                return self._too_long() if len(self._buffer) > self._most else None
            if frame is not _DROPPED:
                return frame

    def _begin(self) -> None:
        self._at = self._line = self._depth = 0
        self._in_string = False

    def _strip(self) -> None:
        size = len(self._buffer) - len(self._buffer.lstrip(_SPACE + b"\xff"))
        del self._buffer[:size]

    def _scan(self) -> Optional[Frame]:
        """Look for the end of an object from where the last look ended."""
        buffer = self._buffer
        while True:
            match = _TOKEN.search(buffer, self._at)
            if match is None:
                self._at = len(buffer)
                return None
            token, start = match[0], match.start()
            if token == b"\\" and match.end() == len(buffer):
                self._at = start
                return None
            self._at = match.end()
            if token == b"\xff":
                self._take(self._at)
                return _DROPPED
            if token == b"\n":
                frame = self._end_of_line(start)
                if frame:
                    return frame
            elif token == b'"':
                self._in_string = not self._in_string
            elif not self._in_string and token == b"{":
                self._depth += 1
            elif not self._in_string and token == b"}":
                self._depth -= 1
                if self._depth == 0:
                    return Frame(self._take(self._at))

    def _end_of_line(self, end: int) -> Optional[Frame]:
        start, self._line = self._line, end + 1
        line = bytes(self._buffer[start:end])
        if start and not line.strip():
            return Frame(self._take(end), "it ends before its last brace")
        if start and _is_request(line):
            return Frame(self._take(start), "it ends before its last brace")
        return None

    def _line_of_no_object(self) -> Optional[Frame]:
        end = _END_OF_LINE.search(self._buffer, self._at)
        if end is None:
            self._at = len(self._buffer)
            return None
        dropped = end[0] == b"\xff"
        line = self._take(end.start())
        return _DROPPED if dropped else Frame(line, "it is no JSON object")

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._begin()
        return taken

    def _too_long(self) -> Frame:
        beginning = bytes(self._buffer[:SHOWN_BYTES])
        self._skipping = True
        self._begin()
        return Frame(beginning, f"it is longer than {self._most} bytes")

    def _skip(self) -> bool:
        """Drop the rest of a message that was too long; return whether its end was found."""
        match = _NEXT.search(self._buffer)
        if match:
            del self._buffer[: match.end()]
            self._skipping = False
            return True
        end = self._buffer.rfind(b"\n")
        rest = self._buffer[end:] if end >= 0 else bytearray()
        self._buffer = rest if not rest.strip() and len(rest) < _MOST_SPACE else bytearray()
        return False


def _is_request(line: bytes) -> bool:
    if not line.startswith(b"{") or not (b'"execute"' in line or b'"name"' in line):
        return False
    try:
        request = json.loads(line.decode("utf-8", "surrogateescape"), strict=False, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return isinstance(request, dict) and ("execute" in request or "name" in request)
