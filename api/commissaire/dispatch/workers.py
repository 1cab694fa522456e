"""The worker threads of a server: they claim operations and carry them out, and keep the heartbeat."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from commissaire.dispatch.embedded import HEARTBEAT_SECONDS, EmbeddedDispatcher
from commissaire.records import OperationKind

log = structlog.get_logger(__name__)
_CLAIM_WAIT_SECONDS = 5.0

LANES: tuple[tuple[str, ...], ...] = ((OperationKind.BOOTSTRAP,), (OperationKind.RESTART,))
"""Kinds that wait for each other's workers. Rolling operations take hours; new hosts must not wait for them."""


class Workers:
    """`run(operation_id)` carries out an operation, `cancel(operation_id)` stops one that runs here."""

    def __init__(
        self,
        dispatcher: EmbeddedDispatcher,
        run: Callable[[int], None],
        cancel: Callable[[int], None],
        *,
        threads_per_lane: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._run = run
        self._cancel = cancel
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"{lane[0]}-{number}", daemon=True)
            for lane in LANES
            for number in range(threads_per_lane)
        ]
        self._pulse = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start claiming."""
        for thread in [*self._threads, self._pulse]:
            thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Claim nothing more, and wait until what runs has been put back or ended."""
        self._stopping.set()
        self._dispatcher.wake()
        for thread in [*self._threads, self._pulse]:
            thread.join(timeout_seconds)

    def _work(self, lane: tuple[str, ...]) -> None:
        while not self._stopping.is_set():
            try:
                operation_id = self._dispatcher.claim(lane, _CLAIM_WAIT_SECONDS)
            except SQLAlchemyError as error:
                log.error("claim_failed", error=str(error))
                self._stopping.wait(_CLAIM_WAIT_SECONDS)
                continue
            if operation_id is not None:
                self._run(operation_id)

    def _beat(self) -> None:
        while not self._stopping.wait(HEARTBEAT_SECONDS):
            try:
                for operation_id in self._dispatcher.heartbeat():
                    self._cancel(operation_id)
                self._dispatcher.recover_expired()
            except SQLAlchemyError as error:
                log.error("heartbeat_failed", error=str(error))
