"""The worker threads of a server: they claim operations and carry them out, and keep the heartbeat."""

from __future__ import annotations

import threading
import time
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from commissaire.dispatch.embedded import HEARTBEAT_SECONDS, EmbeddedDispatcher
from commissaire.fleet.claims import TRUST_SECONDS, Claim
from commissaire.records import ROLLING, OperationKind

log = structlog.get_logger(__name__)
_CLAIM_WAIT_SECONDS = 5.0
WISHES_SECONDS = 1.0
"""How often the database is asked what is wished of what runs here; a server hears of its own requests at once."""

LANES: tuple[tuple[str, ...], ...] = (
    (OperationKind.BOOTSTRAP,),
    ROLLING,
    (OperationKind.LEASE_SHOW, OperationKind.LEASE_BREAK),
    (OperationKind.VM_CREATE,),
    (
        OperationKind.GUEST_INFO,
        OperationKind.GUEST_FILE,
        OperationKind.GUEST_PASSWORD,
        OperationKind.GUEST_NETWORK,
    ),
    (OperationKind.GUEST_COMMAND, OperationKind.GUEST_AGENT_UPDATE, OperationKind.GUEST_AGENT),
    (
        OperationKind.VM_REMOVE,
        OperationKind.VM_NETWORK_CREATE,
        OperationKind.VM_NETWORK_REMOVE,
        OperationKind.VM_PROBE,
    ),
)
"""Kinds that wait for each other's workers. Rolling operations take hours; new hosts must not wait for them. A command
in a machine may take an hour; what somebody waits for at a terminal must not wait for it.
"""
_MOSTLY_WAIT = {OperationKind.VM_CREATE: 4, OperationKind.GUEST_INFO: 2, OperationKind.GUEST_COMMAND: 4}
"""How many times as many workers a lane has whose operations wait for others' work, such as an installation's."""


class Carrier(Protocol):
    """Carries out what the workers claim: the launcher."""

    def run(self, claim: Claim) -> None:
        """Carry out an operation that is ours."""

    def obey(self, operation_ids: set[int]) -> None:
        """Do what is wished of operations that run here."""

    def keep(self, operation_ids: set[int], until: float) -> None:
        """Let operations run on until then (`time.monotonic`)."""

    def drop(self, operation_id: int) -> None:
        """Stop an operation that is not ours any more."""


class Workers:
    """The threads of one server; each gives what it has claimed to *carrier*."""

    def __init__(self, dispatcher: EmbeddedDispatcher, carrier: Carrier, *, threads_per_lane: int) -> None:
        self._dispatcher = dispatcher
        self._carrier = carrier
        self._stopping = threading.Event()
        self._active: dict[int, Claim] = {}
        self._changed = threading.Condition()
        self._next_heartbeat = 0.0
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"{lane[0]}-{number}", daemon=True)
            for lane in LANES
            for number in range(threads_per_lane * _MOSTLY_WAIT.get(OperationKind(lane[0]), 1))
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
                claim = self._dispatcher.claim(lane, _CLAIM_WAIT_SECONDS)
            except SQLAlchemyError as error:
                log.error("claim_failed", error=str(error))
                self._stopping.wait(_CLAIM_WAIT_SECONDS)
                continue
            if claim is not None:  # also when stopping: the launcher puts it back
                self._work_on(claim)

    def _work_on(self, claim: Claim) -> None:
        operation_id = claim.operation_id
        with self._changed:  # an attempt of ours that was taken over, and came back, may just be coming to its end
            self._changed.wait_for(lambda: operation_id not in self._active)
            self._active[operation_id] = claim
        try:
            self._carrier.run(claim)
        except SQLAlchemyError as error:  # its heartbeat stops, and with the database back it is taken up again
            log.error("operation_lost_its_database", operation_id=operation_id, error=str(error))
        finally:
            with self._changed:
                del self._active[operation_id]
                self._changed.notify_all()

    def _beat(self) -> None:
        while not self._stopping.wait(WISHES_SECONDS):
            try:
                self._look()
            except Exception as error:  # whatever it is: without heartbeats everything that runs here would end
                log.exception("heartbeat_failed", error=str(error))

    def _look(self) -> None:
        is_due = time.monotonic() >= self._next_heartbeat
        if is_due:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            self._say_alive()
        with self._changed:
            active = set(self._active)
        self._carrier.obey(active)
        if is_due and (recovered := self._dispatcher.recover(at_start=False)):
            log.warning("operations_recovered", operations=recovered)
            self._dispatcher.wake()

    def _say_alive(self) -> None:
        """Say in the database that this server is there, then to its playbooks that it could."""
        with self._changed:
            claims = set(self._active.values())
        until = time.monotonic() + TRUST_SECONDS
        kept = self._dispatcher.heartbeat(claims)
        self._carrier.keep({claim.operation_id for claim in kept}, until)
        with self._changed:
            for claim in claims - kept:
                if self._active.get(claim.operation_id) == claim:  # else it has ended meanwhile
                    self._carrier.drop(claim.operation_id)
