"""Whether the server lives, and whether it can work."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlmodel import col, select

from commissaire.problems import responses
from commissaire.records import Network
from commissaire.services import Parts

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """Answer; that is all it takes to be alive."""
    return Health()


@router.get("/readyz", responses=responses(503))
def readyz(parts: Parts) -> Health:
    """Answer when the database does."""
    with parts.database.read() as session:
        session.exec(select(col(Network.name)).limit(1)).first()
    return Health()
