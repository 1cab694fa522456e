"""What the commands of one Qemu share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Type, TypeVar, cast

from ..errors import Refused

if TYPE_CHECKING:
    from ..guest import Guest
    from ..loop import Loop

SMALL_BYTES = 1 << 20
Part = TypeVar("Part")


class Session:
    """The guest, the loop, and what commands keep from one request to the next."""

    def __init__(self, guest: Guest, loop: Loop) -> None:
        self.guest = guest
        self.loop = loop
        self.delimited = False
        """Whether the present answer begins with 0xFF."""
        self._parts: dict[type, Any] = {}

    def part(self, kind: Type[Part]) -> Part:
        """Return the one object of a class that the session has; make it when it is asked for first."""
        if kind not in self._parts:
            self._parts[kind] = kind()
        return cast(Part, self._parts[kind])

    def close(self) -> None:
        """Let go of what is kept."""
        while self._parts:
            self._parts.popitem()[1].close()

    def text(self, path: str) -> str:
        """Return what a small file of the system says; nothing where it can't be read."""
        return self.content(path).decode(errors="replace")

    def content(self, path: str) -> bytes:
        """Return what a small file of the system holds, whatever the lists of paths allow the host to read itself."""
        try:
            return self.guest.files.own().read(path, SMALL_BYTES) or b""
        except (OSError, Refused):
            return b""
