"""Asking for operations on hypervisors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response
from sqlmodel import Session

from commissaire.fleet.operations import Requester
from commissaire.records import Operation
from commissaire.requests import AUDIT_DETAIL
from commissaire.routes.v1.bodies import OperationShown
from commissaire.routes.v1.operations import show
from commissaire.services import Asker, Parts, Services


@dataclass(frozen=True)
class _Asking:
    """A request for an operation, by `asker`."""

    parts: Services
    asker: Requester
    request: Request
    response: Response

    def ask(self, what: str, record: Callable[[Session], Operation]) -> OperationShown:
        """Have the operation done that *record* records, and show it; the audit tells *what* it is."""
        setattr(self.request.state, AUDIT_DETAIL, what)
        with self.parts.database.write() as session:
            operation = record(session)
            self.parts.dispatcher.enqueue(session, operation)
            self.response.headers["Location"] = f"/api/v1/operations/{operation.id}"
            return show(session, operation)


async def _asking(parts: Parts, asker: Asker, request: Request, response: Response) -> _Asking:
    return _Asking(parts, asker, request, response)


Asking = Annotated[_Asking, Depends(_asking)]
