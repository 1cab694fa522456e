"""The one loop that waits for all channels, timers and signals."""

from __future__ import annotations

import heapq
import logging
import os
import selectors
import signal
import time
from typing import Callable, Dict, List, Optional

from singularity.child import not_inherited
from singularity.errors import place

log = logging.getLogger(__name__)
MANY = 256
"""Timers, after which it is worth while to look for cancelled ones."""


class Handle:
    """A call that `Loop.later` was asked for."""

    def __init__(self, when: float, number: int, callback: Callable[[], None]) -> None:
        self._order = (when, number)
        self.when = when
        self.callback: Optional[Callable[[], None]] = callback

    def cancel(self) -> None:
        """Don't call; nothing happens where that was done already."""
        self.callback = None

    def __lt__(self, other: Handle) -> bool:
        return self._order < other._order


class Loop:
    """Calls whoever waits for a file descriptor, a time or a signal. What they raise is logged, and ends nothing."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: List[Handle] = []
        self._many = MANY
        self._number = 0
        self._running = False
        self._signals: Dict[int, Callable[[], None]] = {}
        self._wakeup: Optional[int] = None

    def watch(self, fd: int, callback: Callable[[], None], writable: bool = False) -> None:
        """Call *callback* whenever *fd* can be read (or, instead, written) without waiting, until `unwatch`.

        A descriptor that is watched already is watched in this way from now on.
        """
        event = selectors.EVENT_WRITE if writable else selectors.EVENT_READ
        if fd in self._selector.get_map():
            self._selector.modify(fd, event, callback)
        else:
            self._selector.register(fd, event, callback)
            not_inherited.add(fd)

    def unwatch(self, fd: int) -> None:
        """Watch *fd* no more. Call it before the descriptor is closed."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
            not_inherited.discard(fd)

    def later(self, seconds: float, callback: Callable[[], None]) -> Handle:
        """Call *callback* once, in so many *seconds*; 0 means after the others have had their turn."""
        self._number += 1
        if len(self._timers) >= self._many:  # those that were cancelled would be kept until their time
            self._timers = [timer for timer in self._timers if timer.callback is not None]
            heapq.heapify(self._timers)
            self._many = max(MANY, 2 * len(self._timers))
        handle = Handle(time.monotonic() + seconds, self._number, callback)
        heapq.heappush(self._timers, handle)
        return handle

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Call *callback* in the loop after the process was sent this signal."""
        if self._wakeup is None:
            self._wakeup, writer = os.pipe()
            for fd in (self._wakeup, writer):
                os.set_blocking(fd, False)
            signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
            self.watch(self._wakeup, self._signalled)
        self._signals[number] = callback
        signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Run until `stop`."""
        self._running = True
        while self._running:
            for key, _ in self._selector.select(self._timeout()):
                known = self._selector.get_map().get(key.fileobj)
                if self._running and known is not None and known.data is key.data:
                    _call(key.data)
            self._call_timers()

    def stop(self) -> None:
        """Let `run` return."""
        self._running = False

    def _timeout(self) -> Optional[float]:
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0].when - time.monotonic()) if self._timers else None

    def _call_timers(self) -> None:
        now = time.monotonic()
        due = []
        while self._timers and self._timers[0].when <= now:
            due.append(heapq.heappop(self._timers))
        for handle in due:
            if handle.callback is not None and self._running:
                _call(handle.callback)
            elif handle.callback is not None:
                heapq.heappush(self._timers, handle)

    def _signalled(self) -> None:
        numbers = os.read(self._wakeup, 512) if self._wakeup is not None else b""
        for number in dict.fromkeys(numbers):
            if number in self._signals:
                self._signals[number]()


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception as error:
        log.error("%s at %s", type(error).__name__, place(error))
