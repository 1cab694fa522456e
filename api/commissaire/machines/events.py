"""What happens to machines, as their hypervisors tell it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from commissaire.clock import now
from commissaire.machines.hypervisors import Hypervisors
from commissaire.machines.link import Link, bindings

EVENTS = ("defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown", "pmsuspended", "crashed")
"""What libvirt calls the values of virDomainEventType, in their order."""
_LOOK_SECONDS = 5.0
"""So often it is seen to that every hypervisor tells, also one that was added, or has come back."""
_ROOM = 1000
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MachineEvent:
    """Something that happened to a machine."""

    time: datetime
    hypervisor: str
    machine: str
    uuid: str
    event: str


@dataclass(frozen=True)
class HypervisorEvent:
    """A hypervisor tells from now on; or `silent` says why it does not."""

    time: datetime
    hypervisor: str
    silent: str


@dataclass(frozen=True)
class Lost:
    """Events that a client who reads too slowly did not get."""

    lost: int


News = MachineEvent | HypervisorEvent | Lost


@dataclass(eq=False)
class Reader:
    """One client's events. What does not fit into its queue is counted, and told when there is room again."""

    loop: asyncio.AbstractEventLoop
    _waiting: asyncio.Queue[News] = field(default_factory=lambda: asyncio.Queue(_ROOM))
    _lost: int = 0

    async def next(self, seconds: float) -> News | None:
        """Return the next event; None when there is none within so many seconds."""
        if self._lost and self._waiting.empty():
            lost, self._lost = self._lost, 0
            return Lost(lost)
        try:
            return await asyncio.wait_for(self._waiting.get(), seconds)
        except TimeoutError:
            return None

    def put(self, news: News) -> None:
        """Take an event (in the loop's thread)."""
        try:
            self._waiting.put_nowait(news)
        except asyncio.QueueFull:
            self._lost += 1


class MachineEvents:
    """Events of all hypervisors that *links* returns. They are asked to tell while somebody reads. Thread-safe."""

    def __init__(self, hypervisors: Hypervisors, links: Callable[[], list[Link]]) -> None:
        self._hypervisors = hypervisors
        self._links = links
        self._lock = threading.Lock()
        self._readers: set[Reader] = set()
        self._told_by: dict[str, tuple[Any, int]] = {}
        self._silent: dict[str, str] = {}  # of every hypervisor, "" while it tells
        self._looking = threading.Lock()
        self._stop: threading.Event | None = None

    @contextmanager
    def reading(self, loop: asyncio.AbstractEventLoop) -> Iterator[Reader]:
        """Give a client what happens until the block ends, and first how it stands with each hypervisor."""
        reader = Reader(loop)
        with self._lock:
            self._readers.add(reader)
            for name, why in self._silent.items():
                reader.put(HypervisorEvent(now(), name, why))
            if self._stop is None:
                self._stop = threading.Event()
                threading.Thread(target=self._watch, args=[self._stop], name="machine-events", daemon=True).start()
        try:
            yield reader
        finally:
            with self._lock:
                self._readers.discard(reader)
                if not self._readers and self._stop is not None:
                    self._stop.set()
                    self._stop = None

    def _watch(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                with self._looking:
                    self._look(stop)
            except Exception:  # such as the database's; the next look may succeed
                log.exception("machine_events_failed")
            stop.wait(_LOOK_SECONDS)
        self._forget(stop)

    def _look(self, stop: threading.Event) -> None:
        """See to it that every hypervisor tells, and tell of those that don't."""
        links = self._links()
        _, silent = self._hypervisors.ask_all(links, self._register)
        with self._lock:
            if self._stop is not stop:
                return
            before, self._silent = self._silent, {link.name: silent.get(link.name, "") for link in links}
            news = {name: why for name, why in self._silent.items() if bool(before.get(name, not why)) != bool(why)}
        for name, why in news.items():
            self._publish(HypervisorEvent(now(), name, why))

    def _register(self, link: Link, connection: Any) -> None:
        libvirt = bindings()
        with self._lock:
            before = self._told_by.get(link.name)
        if before is not None and before[0] is connection:
            connection.getLibVersion()  # a question, so that one that hangs is noticed
            return
        kind = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        number = connection.domainEventRegisterAny(None, kind, self._on_event, link.name)
        with self._lock:
            self._told_by[link.name] = (connection, number)

    def _forget(self, stop: threading.Event) -> None:
        """Let no hypervisor tell any more, unless somebody reads again."""
        with self._lock:
            if self._stop is not None:
                return
            told_by, self._told_by, self._silent = self._told_by, {}, {}
        for connection, number in told_by.values():
            try:
                connection.domainEventDeregisterAny(number)
            except bindings().libvirtError:  # the connection is broken, or closed
                continue

    def _on_event(self, _connection: Any, domain: Any, event: int, _detail: int, name: str) -> None:
        """Take an event, in libvirt's thread: nothing may be asked here."""
        told = EVENTS[event] if event < len(EVENTS) else str(event)
        self._publish(MachineEvent(now(), name, domain.name(), domain.UUIDString(), told))

    def _publish(self, news: News) -> None:
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            try:
                reader.loop.call_soon_threadsafe(reader.put, news)
            except RuntimeError:  # its loop has ended
                continue
