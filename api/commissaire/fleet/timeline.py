"""The timeline of an operation: what happened on each host when, told from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlmodel import Session, col, select

from commissaire.records import TERMINAL, Event, EventType, Operation, OperationState

WAITING = "waiting"
"""The phase of a host whose turn has not come; no checkpoint tells of its beginning."""


class SpanState(StrEnum):
    """How a phase of a host ended."""

    RUNNING = "running"  # it has not
    FINISHED = "finished"  # the host went on, or was done
    FAILED = "failed"  # the host failed in it
    SKIPPED = "skipped"  # the host was not fit for the work, and was left out
    CANCELLED = "cancelled"  # the operation was cancelled meanwhile
    INTERRUPTED = "interrupted"  # the attempt ended without a word of the host; the next one examines it
    PENDING = "pending"  # the host was left for a later attempt
    NOT_STARTED = "not_started"  # the operation ended before the host's turn


_CUT_SHORT = (SpanState.FAILED, SpanState.SKIPPED, SpanState.CANCELLED)


class Entry(NamedTuple):
    """What the timeline needs of an event. `state` is a host's or the operation's, as `type` says."""

    time: datetime
    type: str
    host: str | None
    phase: str | None
    message: str
    state: str | None
    attempt: int | None


@dataclass
class Span:
    """One phase of one host. `ended_at` is None while it lasts."""

    phase: str
    began_at: datetime
    attempt: int
    ended_at: datetime | None = None
    state: SpanState = SpanState.RUNNING
    message: str = ""

    def end(self, time: datetime, state: SpanState, message: str = "") -> None:
        """Let it end, never before it began: hosts' and operations' times are taken in different places."""
        self.ended_at, self.state, self.message = max(time, self.began_at), state, message or self.message


@dataclass(frozen=True)
class Mark:
    """Something that happened to the operation itself."""

    time: datetime
    state: OperationState
    attempt: int
    message: str


@dataclass
class Timeline:
    """The operation's own events, and the phases of each of its hosts, all in the order they happened."""

    marks: list[Mark] = field(default_factory=list)
    hosts: dict[str, list[Span]] = field(default_factory=dict)


def journal_of(session: Session, operation: Operation) -> Iterator[Entry]:
    """Yield what a timeline is told from, in one query, a thousand rows at a time."""
    state, attempt = (col(Event.data)[key] for key in ("state", "attempt"))
    query = (
        select(Event.time, Event.type, Event.host, Event.phase, Event.message, state.as_string(), attempt.as_integer())  # type: ignore[call-overload]
        .where(Event.operation_id == operation.id)
        .where(col(Event.type).in_((EventType.OPERATION, EventType.CHECKPOINT)))
        .order_by(col(Event.seq))
        .execution_options(yield_per=1000)
    )
    yield from map(Entry._make, session.exec(query))


def tell(entries: Iterable[Entry], hosts: Iterable[str]) -> Timeline:
    """Tell the timeline of an operation on *hosts* from the *entries* of its journal, in their order.

    A phase lasts until the host's next report. Who has not ended waits from the beginning of each attempt until its
    first report in it. What an attempt leaves open when it ends, by a crash or a pause, was interrupted.
    """
    teller = _Teller(Timeline(hosts={host: [] for host in hosts}))
    for entry in entries:
        if entry.type == EventType.OPERATION:
            teller.operation(entry)
        elif entry.host in teller.timeline.hosts:
            teller.host(entry)
    return teller.timeline


class _Teller:
    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._attempt = 0
        self._open: dict[str, Span] = {}
        self._ended: set[str] = set()

    def operation(self, entry: Entry) -> None:
        state, attempt = OperationState(entry.state or OperationState.QUEUED), entry.attempt or 0
        self.timeline.marks.append(Mark(entry.time, state, attempt, entry.message))
        if state != OperationState.RUNNING:
            self._end_attempt(entry.time, state)
        elif attempt != self._attempt:
            for host in self.timeline.hosts.keys() - self._ended:
                self._begin(host, WAITING, entry.time, attempt)
        self._attempt = attempt

    def host(self, entry: Entry) -> None:
        host, phase, state = entry.host or "", entry.phase or "", SpanState(entry.state or SpanState.RUNNING)
        span = self._open.get(host)
        if state == SpanState.RUNNING:
            if span is None or span.phase != phase:
                span = self._begin(host, phase, entry.time, self._attempt)
            span.message = entry.message or span.message
            return
        elsewhere = span is not None and state in _CUT_SHORT and phase not in ("", span.phase)
        if span is None or elsewhere:
            span = self._begin(host, phase or WAITING, entry.time, self._attempt)
        span.end(entry.time, state, entry.message)
        self._open.pop(host, None)
        if state != SpanState.PENDING:
            self._ended.add(host)

    def _begin(self, host: str, phase: str, time: datetime, attempt: int) -> Span:
        before = self._open.pop(host, None)
        if before is not None:
            before.end(time, SpanState.FINISHED)
            time = before.ended_at or time
        span = self._open[host] = Span(phase, time, attempt)
        self.timeline.hosts[host].append(span)
        return span

    def _end_attempt(self, time: datetime, state: OperationState) -> None:
        for span in self._open.values():
            if span.phase == WAITING:
                span.end(time, SpanState.NOT_STARTED if state in TERMINAL else SpanState.PENDING)
            elif state == OperationState.CANCELLED:
                span.end(time, SpanState.CANCELLED)
            else:
                span.end(time, SpanState.FAILED if state in TERMINAL else SpanState.INTERRUPTED)
        self._open.clear()
