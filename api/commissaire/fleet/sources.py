"""Sources: what external providers tell, kept with the hosts that name them. On a session that the caller commits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from commissaire.clock import now
from commissaire.fleet.errors import Conflict, NotFound
from commissaire.records import Host, Source
from commissaire.records.batches import batched

PROVIDED = ("os", "cpus", "memory_kb", "space_bytes")
"""Fields of a host that its provider owns."""


class SourceState(StrEnum):
    """How it stands with a host's source."""

    UNKNOWN = "unknown"  # not listed yet, or not configured any more
    LISTED = "listed"  # the provider listed the host when it was asked last
    MISSING = "missing"  # the provider does not list it, or not any more
    UNAVAILABLE = "unavailable"  # the provider could not be listed; what it told last is kept


def check_source(name: str, configured: Collection[str]) -> None:
    """Let a host have no source, or a configured one.

    Raises:
        Conflict: it is not configured.
    """
    if not name or name in configured:
        return
    known = f"configured are: {', '.join(sorted(configured))}" if configured else "none is configured"
    raise Conflict(f"there is no source {name}; {known}. Leave it out, or add it to the server's setting `sources`")


def get_source(session: Session, name: str, configured: Collection[str]) -> Source:
    """Return what is known of a configured source.

    Raises:
        NotFound: it is not configured.
    """
    if name not in configured:
        raise NotFound(f"there is no source {name}; the server's setting `sources` has none of that name")
    without_hosts = [defer(Source.hosts)]  # type: ignore[arg-type]  # thousands may be listed; few who ask see them
    return session.get(Source, name, options=without_hosts) or Source(name=name)


def request_refresh(session: Session, source: Source) -> None:
    """Let *source* be listed as soon as a server can."""
    source.due_at = now()
    session.add(source)


def is_due(session: Session, name: str) -> bool:
    """Tell whether a source is to be listed now."""
    later = select(Source.name).where(Source.name == name, col(Source.due_at) > now())
    return session.exec(later).first() is None


def claim(session: Session, name: str, lease_seconds: float) -> bool:
    """Take a source that is due to be listed; no other server takes it for *lease_seconds*."""
    if session.exec(select(Source.name).where(Source.name == name)).first() is None:
        session.add(Source(name=name))
        session.flush()
    due = or_(col(Source.due_at).is_(None), col(Source.due_at) <= now())
    taken = session.exec(
        update(Source).where(col(Source.name) == name, due).values(due_at=now() + timedelta(seconds=lease_seconds))
    )
    return bool(taken.rowcount)


def record_listing(session: Session, name: str, listed: list[dict[str, Any]], refresh_seconds: float) -> None:
    """Take over what a provider told: into its own record, and into the hosts that name it."""
    source = session.get_one(Source, name)
    source.tried_at = source.listed_at = now()
    source.error, source.hosts, source.number_of_hosts = "", listed, len(listed)
    source.due_at = source.listed_at + timedelta(seconds=refresh_seconds)
    session.add(source)
    told_of = _by_address(listed)
    fields = [getattr(Host, field) for field in PROVIDED]
    rows = session.execute(select(Host.id, Host.address, *fields).where(Host.source == name)).all()
    seen = {host_id: (told_of[address], told) for host_id, address, *told in rows if address in told_of}
    changed = {host_id for host_id, (new, told) in seen.items() if told != [new[field] for field in PROVIDED]}
    for ids in batched(seen):
        session.exec(update(Host).where(col(Host.id).in_(ids)).values(source_seen_at=source.listed_at))
    for ids in batched(changed):  # mostly few; of these the bus tells
        for host in session.exec(select(Host).where(col(Host.id).in_(ids))).all():
            _take_over(host, told_of[host.address], source.listed_at)
            session.add(host)


def record_failure(session: Session, name: str, why: str, refresh_seconds: float) -> bool:
    """Record that a provider could not be listed; all that it told stays. Return whether that is news."""
    source = session.get_one(Source, name)
    news = source.error != why
    source.tried_at, source.error = now(), why
    source.due_at = source.tried_at + timedelta(seconds=refresh_seconds)
    session.add(source)
    return news


def take_over_listed(session: Session, host: Host) -> None:
    """Give a new host what its provider told when it was listed last."""
    source = session.get(Source, host.source) if host.source else None
    if source is None or source.listed_at is None:
        return
    told = _by_address(source.hosts).get(host.address)
    if told is not None:
        _take_over(host, told, source.listed_at)
        session.add(host)


def state_of(host: Host, known: dict[str, tuple[str, datetime | None]]) -> SourceState | None:
    """Return how it stands with a host's source; None when it has none. *known* is from `known_sources`."""
    if not host.source:
        return None
    error, listed_at = known.get(host.source, ("", None))
    if error:
        return SourceState.UNAVAILABLE
    if listed_at is None:
        return SourceState.UNKNOWN
    seen = host.source_seen_at is not None and host.source_seen_at >= listed_at
    return SourceState.LISTED if seen else SourceState.MISSING


def known_sources(session: Session, configured: Collection[str]) -> dict[str, tuple[str, datetime | None]]:
    """Return each configured source's last error, empty if there is none, and when it was listed last."""
    rows = session.exec(select(Source.name, Source.error, Source.listed_at).where(col(Source.name).in_(configured)))
    return {name: (error, listed_at) for name, error, listed_at in rows}


def _by_address(listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    by_name = {str(host["name"]).lower(): host for host in listed}
    return by_name | {host["address"]: host for host in listed if host["address"]}


def _take_over(host: Host, told: dict[str, Any], seen_at: datetime) -> None:
    for field in PROVIDED:
        setattr(host, field, told[field])
    host.source_seen_at = seen_at
