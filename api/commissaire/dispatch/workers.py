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

LANES: tuple[tuple[str, ...], ...] = (
    (OperationKind.BOOTSTRAP,),
    (OperationKind.RESTART, OperationKind.UPGRADE, OperationKind.DEPLOY),
    (OperationKind.LEASE_SHOW, OperationKind.LEASE_BREAK),
)
"""Kinds that wait for each other's workers. Rolling operations take hours; new hosts must not wait for them."""


class Workers:
    """`run(operation_id)` carries out an operation, `obey(operation_ids)` does what is wished of those running here."""

    def __init__(
        self,
        dispatcher: EmbeddedDispatcher,
        run: Callable[[int], None],
        obey: Callable[[set[int]], None],
        *,
        threads_per_lane: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._run = run
        self._obey = obey
        self._stopping = threading.Event()
        self._active: set[int] = set()
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

    def stop_claiming(self) -> None:
        """Claim nothing more: what is put back to the queue stays there."""
        self._stopping.set()
        self._dispatcher.wake()

    def join(self, timeout_seconds: float) -> None:
        """Wait until what runs has been put back or has ended."""
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
            if operation_id is not None:  # also when stopping: the launcher puts it back
                self._work_on(operation_id)

    def _work_on(self, operation_id: int) -> None:
        self._active.add(operation_id)
        try:
            self._run(operation_id)
        except SQLAlchemyError as error:  # its heartbeat stops, and with the database back it is taken up again
            log.error("operation_lost_its_database", operation_id=operation_id, error=str(error))
        finally:
            self._active.discard(operation_id)

    def _beat(self) -> None:
        while not self._stopping.wait(HEARTBEAT_SECONDS):
            try:
                active = set(self._active)
                self._dispatcher.heartbeat(active)
                self._obey(active)
                recovered = self._dispatcher.recover(at_start=False)
                if recovered:
                    log.warning("operations_recovered", operations=recovered)
                    self._dispatcher.wake()
            except SQLAlchemyError as error:
                log.error("heartbeat_failed", error=str(error))
