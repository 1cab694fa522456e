"""Notices inside one server process: whoever waits for news of an operation is woken, from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Notices:
    """Wakes coroutines that wait for a topic (an operation's id)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)

    def publish(self, topic: int) -> None:
        """Wake everyone who waits for *topic*."""
        with self._lock:
            waiting = list(self._waiting.get(topic, ()))
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def publish_all(self) -> None:
        """Wake everyone, for the end of the server."""
        with self._lock:
            topics = list(self._waiting)
        for topic in topics:
            self.publish(topic)

    @contextmanager
    def subscription(self, topic: int) -> Iterator[asyncio.Event]:
        """Give an event that is set at each notice of *topic*; to be cleared by the one who waits."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting[topic].add(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._waiting[topic].discard(entry)
                if not self._waiting[topic]:
                    del self._waiting[topic]
