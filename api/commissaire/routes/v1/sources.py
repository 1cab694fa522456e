"""REST v1: sources, the external providers of hosts."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import func
from sqlmodel import Session, col, select

from commissaire.auth.role import Role
from commissaire.fleet.sources import get_source, request_refresh
from commissaire.problems import responses
from commissaire.records import Host
from commissaire.routes.v1.source_bodies import SourceHostList, SourceHostShown, SourceList, SourceShown
from commissaire.services import Parts

router = APIRouter(prefix="/api/v1/sources", tags=["sources"])


@router.get("")
def list_all(parts: Parts) -> SourceList:
    """Return the configured sources, and how it stands with them."""
    with parts.database.read() as session:
        return SourceList(items=[_show(session, parts, name) for name in sorted(parts.settings.sources)])


@router.get("/{name}/hosts", responses=responses(404))
def get_hosts(name: str, parts: Parts) -> SourceHostList:
    """Return the hosts that a source listed last, and the status of those that are recorded here."""
    with parts.database.read() as session:
        source = get_source(session, name, parts.settings.sources)
        rows = session.exec(select(Host.address, Host.status, Host.source)).all() if source.hosts else []
        recorded = {address: (status, of) for address, status, of in rows}
    return SourceHostList(items=[SourceHostShown.of(told, recorded, name) for told in source.hosts])


@router.post("/{name}/refresh", status_code=202, openapi_extra={"x-role": Role.OPERATOR}, responses=responses(404))
def refresh(name: str, parts: Parts) -> SourceShown:
    """List a source soon, in the background."""
    with parts.database.write() as session:
        request_refresh(session, get_source(session, name, parts.settings.sources))
        session.flush()
        return _show(session, parts, name)


def _show(session: Session, parts: Parts, name: str) -> SourceShown:
    source = get_source(session, name, parts.settings.sources)
    recorded = session.exec(select(func.count()).select_from(Host).where(Host.source == name)).one()
    missing = 0
    if source.listed_at is not None:
        stale = col(Host.source_seen_at).is_(None) | (col(Host.source_seen_at) < source.listed_at)
        missing = session.exec(select(func.count()).select_from(Host).where(Host.source == name, stale)).one()
    return SourceShown.of(source, str(parts.settings.sources[name].inventory), recorded, missing)
