"""REST v1: the audit trail."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlmodel import col, select

from commissaire.auth.role import Role
from commissaire.clock import rfc3339
from commissaire.problems import responses
from commissaire.records import AuditEntry
from commissaire.routes.text import Text
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])


class AuditShown(BaseModel):
    """A request that changed something, or read credentials or a secret."""

    id: int
    time: str
    who: str
    role: str
    what: str
    detail: str = Field(description="What was asked for, where `what` does not say it.")
    client: str
    outcome: int
    request_id: str

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditShown:
        """Show a record."""
        return cls(**entry.model_dump(exclude={"time"}), time=rfc3339(entry.time) or "")


class AuditPage(BaseModel):
    """A page of the audit trail; `next` is for `before`, null on the last page."""

    items: list[AuditShown]
    next: int | None


@router.get("", openapi_extra={"x-role": Role.ADMINISTRATOR}, responses=responses(400))
def list_audit(
    parts: Parts,
    who: Annotated[Text | None, Query(description="The user's name.")] = None,
    what: Annotated[Text | None, Query(description="What the request contains, such as `/creds`.")] = None,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> AuditPage:
    """Return who did what, newest first."""
    wanted = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit + 1)
    if who is not None:
        wanted = wanted.where(AuditEntry.who == who)
    if what is not None:
        wanted = wanted.where(col(AuditEntry.what).contains(what, autoescape=True))
    if before is not None:
        wanted = wanted.where(col(AuditEntry.id) < before)
    with parts.database.read() as session:
        found = session.exec(wanted).all()
    shown = [AuditShown.of(entry) for entry in found[:limit]]
    return AuditPage(items=shown, next=shown[-1].id if len(found) > limit else None)
