"""REST v1: what happens to machines, as it happens (server-sent events)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from fnmatch import fnmatchcase
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from commissaire.clock import rfc3339
from commissaire.machines.events import HypervisorEvent, Lost, MachineEvent, News
from commissaire.problems import responses
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/machines", tags=["machines"])
_LOOK_SECONDS = 1.0


class MachineEventShown(BaseModel):
    """Something that happened to a machine."""

    time: str
    hypervisor: str
    machine: str
    uuid: str
    event: str = Field(
        description="`defined`, `undefined`, `started`, `suspended`, `resumed`, `stopped`, `shutdown`, "
        "`pmsuspended` or `crashed`."
    )


class HypervisorEventShown(BaseModel):
    """A hypervisor tells from now on; or `silent` says why it does not."""

    time: str
    hypervisor: str
    silent: str


class LostShown(BaseModel):
    """So many events were not sent, for the client reads too slowly: it should list the machines anew."""

    lost: int


@router.get("/events", response_class=EventSourceResponse, responses=responses(400))
async def stream_events(
    parts: Parts,
    hypervisor: Annotated[str | None, Query(description="Only of this one.")] = None,
    name: Annotated[str | None, Query(description="Only of machines called so; `*` and `?` are wildcards.")] = None,
    seconds: Annotated[int | None, Query(ge=1, le=86400, description="End after so long. Default never.")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream what happens: `machine`, `hypervisor` (first of each, then when it changes) and `lost`."""
    end = None if seconds is None else time.monotonic() + seconds
    with parts.machine_events.reading(asyncio.get_running_loop()) as reader:
        while not parts.stopping:
            left = _LOOK_SECONDS if end is None else min(_LOOK_SECONDS, end - time.monotonic())
            if left <= 0:
                return
            news = await reader.next(left)
            if news is not None and _is_wanted(news, hypervisor, name):
                yield _message(news)


def _is_wanted(news: News, hypervisor: str | None, name: str | None) -> bool:
    if isinstance(news, Lost):
        return True
    if hypervisor is not None and news.hypervisor != hypervisor:
        return False
    return not isinstance(news, MachineEvent) or name is None or fnmatchcase(news.machine, name)


def _message(news: News) -> ServerSentEvent:
    if isinstance(news, Lost):
        return ServerSentEvent(event="lost", data=LostShown(lost=news.lost))
    told = {**vars(news), "time": rfc3339(news.time)}
    if isinstance(news, HypervisorEvent):
        return ServerSentEvent(event="hypervisor", data=HypervisorEventShown(**told))
    return ServerSentEvent(event="machine", data=MachineEventShown(**told))
