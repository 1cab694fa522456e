"""A console without a machine: libvirt's test driver has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Echo:
    """A console whose machine says what is typed, in capitals, and ends when it is told to halt."""

    opened: list[Echo]

    def __init__(self, _domain: Any, on_bytes: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self.on_bytes, self.on_end, self.closed = on_bytes, on_end, False
        self.opened.append(self)
        on_bytes(b"login: ")

    def write(self, data: bytes) -> bool:
        self.on_bytes(data.upper())
        if data == b"halt\r":
            self.on_end()
        return True

    def close(self) -> None:
        self.closed = True
