"""A virtio-serial port, as QEMU's guest agent has one."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Callable, Dict, Optional

from singularity.child import not_inherited
from singularity.key_exchange import KeyExchange
from singularity.stream import Stream

if TYPE_CHECKING:
    from singularity.dialects import Dialects
    from singularity.loop import Handle, Loop


class Virtio:
    """The port, whoever has its other end open at present."""

    def __init__(self, name: str, path: str, loop: Loop, dialects: Dialects) -> None:
        self.name = name
        self.exchange = KeyExchange()
        self._path = path
        self._loop = loop
        self._dialects = dialects
        self._fd = -1
        self._edges: Optional[Edges] = None
        self._stream: Optional[Stream] = None
        self._lost: Callable[[str], None] = lambda _: None

    def open(self, lost: Callable[[str], None]) -> None:
        """Open the port; it is lost when it is unplugged."""
        self._lost = lost
        self._fd = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        self._edges = Edges(self._loop, lambda: self._ended(""))
        self._stream = Stream(self._edges, self._fd, self._dialects, self, self._ended, usual="qemu")

    def close(self) -> None:
        """Close the port."""
        if self._stream and self._edges:
            self._stream.close()
            self._edges.close()
            os.close(self._fd)
            self._stream = self._edges = None

    def read_vm_data(self) -> Dict[str, str]:
        """There is none: a hypervisor sends with its request what is needed."""
        return {}

    def _ended(self, reason: str) -> None:
        if reason or not self._is_there():
            self._lost(reason or "it was unplugged")
        elif self._stream:
            self._stream.reset()

    def _is_there(self) -> bool:
        try:
            return os.stat(self._path).st_rdev == os.fstat(self._fd).st_rdev
        except OSError:
            return False


class Edges:
    """Tells of changes of one descriptor, not of its state.

    A port that nobody has open on the hypervisor counts as readable all the time, and reads as its end. To wait for
    that is to spin; so a second epoll, edge-triggered, stands between the port and the loop.
    """

    def __init__(self, loop: Loop, hung_up: Callable[[], None]) -> None:
        """*hung_up* is called when the other end was closed while one waits to write; reading tells it by itself."""
        self._loop = loop
        self._hung_up = hung_up
        self._epoll = select.epoll()
        self._mask = 0
        self._callback: Callable[[], None] = lambda: None
        loop.watch(self._epoll.fileno(), self._changed)

    def watch(self, fd: int, callback: Callable[[], None], writable: bool = False) -> None:
        """Call *callback* after *fd* became readable (or writable)."""
        mask = (select.EPOLLOUT if writable else select.EPOLLIN) | select.EPOLLET
        self._callback = callback
        if not self._mask:
            self._epoll.register(fd, mask)
            not_inherited.add(fd)
        elif mask != self._mask:
            self._epoll.modify(fd, mask)
        self._mask = mask

    def unwatch(self, fd: int) -> None:
        """Tell no more."""
        if self._mask:
            self._epoll.unregister(fd)
            not_inherited.discard(fd)
            self._mask = 0

    def later(self, seconds: float, callback: Callable[[], None]) -> Handle:
        """See Loop.later."""
        return self._loop.later(seconds, callback)

    def close(self) -> None:
        """Give all back."""
        self._loop.unwatch(self._epoll.fileno())
        self._epoll.close()

    def _changed(self) -> None:
        for _, mask in self._epoll.poll(0):
            if mask & select.EPOLLHUP and self._mask & select.EPOLLOUT:
                self._hung_up()
            else:
                self._callback()
