"""Waiting for an operation in a request that promises its outcome."""

from __future__ import annotations

import asyncio
import time

from sqlmodel import select
from starlette.concurrency import run_in_threadpool

from commissaire.records import TERMINAL, Operation, OperationHost
from commissaire.services import Services

_LOOK_SECONDS = 1.0


async def wait_for(parts: Services, operation_id: int, seconds: float) -> tuple[Operation, OperationHost]:
    """Return an operation and its one row when it has ended, at the latest after so long."""

    def look() -> tuple[Operation, OperationHost]:
        with parts.database.read() as session:
            row = session.exec(select(OperationHost).where(OperationHost.operation_id == operation_id)).one()
            return session.get_one(Operation, operation_id), row

    deadline = time.monotonic() + seconds
    with parts.notices.subscription(operation_id) as news:
        while True:
            news.clear()
            operation, row = await run_in_threadpool(look)
            left = deadline - time.monotonic()
            if operation.state in TERMINAL or left <= 0 or parts.stopping:
                return operation, row
            try:
                await asyncio.wait_for(news.wait(), min(left, _LOOK_SECONDS))
            except TimeoutError:
                continue
