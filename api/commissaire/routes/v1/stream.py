"""REST v1: an operation's journal as it is written (server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import func
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool

from commissaire.problems import responses
from commissaire.records import TERMINAL, Event, OperationHost
from commissaire.routes.v1.bodies import EventShown, OperationHostShown, OperationShown
from commissaire.routes.v1.operations import find, show
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/operations", tags=["operations"])

_BATCH = 500
_LOOK_AGAIN_SECONDS = 1.0
"""Another server on the same database gives no notice here, so the stream looks by itself, too."""


@dataclass
class _News:
    messages: list[ServerSentEvent] = field(default_factory=list)
    ended: bool = False
    more: bool = False


@dataclass
class _Reader:
    """Reads what is new of one operation since the last time."""

    parts: Parts
    operation_id: int
    after: int
    shown: OperationShown | None = None

    def read(self) -> _News:
        """Return the news: events, the hosts they changed, and the operation when it changed."""
        with self.parts.database.read() as session:
            operation = find(session, self.operation_id)
            ended = operation.state in TERMINAL  # looked at first: no event follows the end
            events = session.exec(
                select(Event)
                .where(Event.operation_id == self.operation_id, col(Event.seq) > self.after)
                .order_by(col(Event.seq))
                .limit(_BATCH)
            ).all()
            news = _News(more=len(events) == _BATCH)
            news.messages = list(self._messages(session, list(events)))
            present = show(session, operation)
            if present != self.shown:
                self.shown = present
                news.messages.append(ServerSentEvent(event="operation", id=str(self.after), data=present))
            if ended and not news.more:
                news.ended = True
                news.messages.append(ServerSentEvent(event="end", data=present))
        return news

    def _messages(self, session: Session, events: list[Event]) -> Iterator[ServerSentEvent]:
        if not events:
            return
        before, self.after = self.after, events[-1].seq or self.after
        for event in events:
            yield ServerSentEvent(event="event", id=str(event.seq), data=EventShown.of(event))
        for row in session.exec(
            select(OperationHost)
            .where(OperationHost.operation_id == self.operation_id)
            .where(col(OperationHost.updated_by_event) > before)
            .order_by(col(OperationHost.updated_by_event), col(OperationHost.position))
        ):
            yield ServerSentEvent(event="host", id=str(self.after), data=OperationHostShown.of(row))


def _reader(
    operation_id: int,
    parts: Parts,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    begin: Annotated[
        Literal["beginning", "now"], Query(alias="from", description="`now` leaves out what has happened already.")
    ] = "beginning",
    last_event_id: Annotated[str | None, Header()] = None,
) -> _Reader:
    """Find the operation before the stream begins, so that a missing one is a 404."""
    with parts.database.read() as session:
        found = find(session, operation_id).id or 0
        if begin == "now":
            newest = session.exec(select(func.max(Event.seq)).where(Event.operation_id == found)).one()
            after = max(after, newest or 0)
    start = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 19 else after
    return _Reader(parts, found, start)


@router.get("/{operation_id}/events/stream", response_class=EventSourceResponse, responses=responses(400, 404))
async def stream_events(reader: Annotated[_Reader, Depends(_reader)], parts: Parts) -> AsyncIterator[ServerSentEvent]:
    """Stream the journal: `event` for each entry, `host` for each host that changed, `operation`, and `end` at the end.

    A client that comes back with `Last-Event-ID` gets what it missed.
    """
    with parts.notices.subscription(reader.operation_id) as news_bell:
        while not parts.stopping:
            news_bell.clear()
            news = await run_in_threadpool(reader.read)
            for message in news.messages:
                yield message
            if news.ended:
                return
            if not news.more:
                try:
                    await asyncio.wait_for(news_bell.wait(), _LOOK_AGAIN_SECONDS)
                except TimeoutError:
                    continue
