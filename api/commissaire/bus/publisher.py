"""The publisher: one thread that carries notifications to the broker. Nobody ever waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from kombu import Connection, Exchange, Producer
from prometheus_client import Counter

from commissaire.bus.notification import Notification
from commissaire.bus.uri import connection_to, shown

log = structlog.get_logger(__name__)
LIMIT = 10_000
"""Notifications that wait while the broker is away; then the oldest ones go."""

_FIRST_DELAY_SECONDS = 0.5
_LAST_DELAY_SECONDS = 30.0
_STOP_SECONDS = 3.0


class Publisher:
    """Publishes on a topic exchange, in order. `outcomes` counts by the label `outcome`: published, dropped.

    Raises:
        SettingsError: the URI can't be used.
    """

    def __init__(self, uri: str, exchange: str, outcomes: Counter, *, limit: int = LIMIT) -> None:
        self._connection = connection_to(uri, answers_at_once=True)
        self._shown = shown(uri)
        self._exchange = Exchange(exchange, type="topic", durable=True)
        self._published, self._dropped = outcomes.labels("published"), outcomes.labels("dropped")
        self._limit = limit
        self._waiting: deque[Notification] = deque()
        self._in_hand: list[Notification] = []
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._outage: str | None = None
        self._lost = 0

    def send(self, notifications: list[Notification]) -> None:
        """Queue notifications; returns at once, from any thread."""
        with self._news:
            self._waiting.extend(notifications)
            excess = len(self._waiting) - self._limit
            for _ in range(excess):
                self._waiting.popleft()
            self._news.notify()
        if excess > 0:
            self._drop(excess, "it takes them more slowly than they come")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Publish until the block ends, and for up to three seconds what is left then."""
        thread = threading.Thread(target=self._run, name="commissaire-bus", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            with self._news:
                self._news.notify()
            thread.join(_STOP_SECONDS)
            left = len(self._waiting) + len(self._in_hand)
            if left:
                self._drop(left, "the server stops")

    def _run(self) -> None:
        delay = 0.0
        while not (self._stopping.wait(delay) and self._outage):
            try:
                with self._connection.clone() as connection:
                    connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
                    self._publish(connection)
                return
            except Exception as error:  # whatever a transport raises: nothing of it may end the thread
                delay = min(2 * delay, _LAST_DELAY_SECONDS) if self._outage else _FIRST_DELAY_SECONDS
                self._went_away(error)

    def _publish(self, connection: Connection) -> None:
        """Publish until the server stops; what the broker hasn't taken stays in hand."""
        producer = Producer(connection, exchange=self._exchange)
        if not self._in_hand and not self._waiting:
            self._came_back()
        while self._in_hand or self._take():
            notification = self._in_hand[0]
            producer.publish(
                notification.body,
                routing_key=notification.routing_key,
                content_type="application/json",
                content_encoding="utf-8",
            )
            self._in_hand.clear()
            self._published.inc()
            self._came_back()

    def _take(self) -> bool:
        """Wait for a notification and take it in hand; False when the server stops and nothing is left."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._stopping.is_set())
            if self._waiting:
                self._in_hand.append(self._waiting.popleft())
            return bool(self._in_hand)

    def _went_away(self, error: Exception) -> None:
        if self._outage is None:
            log.warning("bus_lost", bus=self._shown, error=str(error) or type(error).__name__)
        self._outage = str(error) or type(error).__name__

    def _came_back(self) -> None:
        with self._news:
            if self._outage is None and not (self._lost and not self._waiting):
                return
            dropped, self._outage, self._lost = self._lost, None, 0
        log.info("bus_back", bus=self._shown, dropped=dropped)

    def _drop(self, number: int, why: str) -> None:
        with self._news:
            first = not self._lost
            self._lost += number
        self._dropped.inc(number)
        if first:
            log.warning("notifications_dropped", bus=self._shown, reason=self._outage or why)
