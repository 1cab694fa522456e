"""The bodies of REST v1's timelines. Times are RFC 3339 in UTC."""

from __future__ import annotations

from pydantic import BaseModel, Field

from commissaire.clock import now, rfc3339
from commissaire.fleet.timeline import Mark, Span, SpanState, Timeline
from commissaire.records import OperationHost, OperationHostState, OperationState
from commissaire.routes.v1.bodies import OperationShown


class MarkShown(BaseModel):
    """Something that happened to the operation itself: asked for, running, interrupted, paused, resumed, ended."""

    time: str
    state: OperationState
    attempt: int
    message: str

    @classmethod
    def of(cls, mark: Mark) -> MarkShown:
        """Show a mark."""
        return cls(time=rfc3339(mark.time) or "", state=mark.state, attempt=mark.attempt, message=mark.message)


class SpanShown(BaseModel):
    """A phase of a host."""

    phase: str = Field(description="`waiting` until its turn comes, then what its playbook reports.")
    state: SpanState = Field(
        description="How it ended; `interrupted` when the attempt ended without a word of the host."
    )
    began_at: str
    ended_at: str | None = Field(description="null while it lasts.")
    attempt: int
    message: str

    @classmethod
    def of(cls, span: Span) -> SpanShown:
        """Show a span."""
        return cls(
            phase=span.phase,
            state=span.state,
            began_at=rfc3339(span.began_at) or "",
            ended_at=rfc3339(span.ended_at),
            attempt=span.attempt,
            message=span.message,
        )


class HostTimeline(BaseModel):
    """What happened on one host of an operation."""

    address: str
    state: OperationHostState
    message: str
    phases: list[SpanShown]

    @classmethod
    def of(cls, row: OperationHost, spans: list[Span]) -> HostTimeline:
        """Show a host."""
        return cls(
            address=row.address,
            state=OperationHostState(row.state),
            message=row.message,
            phases=[SpanShown.of(span) for span in spans],
        )


class TimelineShown(BaseModel):
    """What happened in an operation, and when."""

    operation: OperationShown
    as_of: str = Field(description="The server's time; what has no end yet has lasted until then.")
    events: list[MarkShown] = Field(description="What happened to the operation itself, oldest first.")
    hosts: list[HostTimeline] = Field(description="In the operation's order.")

    @classmethod
    def of(cls, operation: OperationShown, rows: list[OperationHost], timeline: Timeline) -> TimelineShown:
        """Show a timeline."""
        return cls(
            operation=operation,
            as_of=rfc3339(now()) or "",
            events=[MarkShown.of(mark) for mark in timeline.marks],
            hosts=[HostTimeline.of(row, timeline.hosts[row.address]) for row in rows],
        )
