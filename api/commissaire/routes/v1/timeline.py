"""REST v1: what happened in an operation, and when."""

from __future__ import annotations

from fastapi import APIRouter

from commissaire.fleet.operations import hosts_of
from commissaire.fleet.timeline import journal_of, tell
from commissaire.problems import responses
from commissaire.routes.v1.operations import find, show
from commissaire.routes.v1.timeline_bodies import TimelineShown
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/operations", tags=["operations"])


@router.get("/{operation_id}/timeline", responses=responses(404))
def get_timeline(operation_id: int, parts: Parts) -> TimelineShown:
    """Return what happened on each host when, and what happened to the operation itself."""
    with parts.database.read() as session:
        operation = find(session, operation_id)
        rows = hosts_of(session, operation)
        timeline = tell(journal_of(session, operation), [row.address for row in rows])
        return TimelineShown.of(show(session, operation), rows, timeline)
