"""The watcher's rules: which hosts are due for a check, and what its outcome means. On a session the caller commits."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, update
from sqlmodel import Session, col, select

from commissaire.clock import now
from commissaire.fleet.clusters import came_up
from commissaire.fleet.errors import Conflict
from commissaire.fleet.host_facts import record_facts
from commissaire.records import Host, HostStatus, Operation, OperationHost, OperationState

WATCHED = (HostStatus.ACTIVE, HostStatus.DISASSOCIATED, HostStatus.FAILED)
CLAIM = timedelta(seconds=300)
"""How long a check may take until another watcher takes it for lost."""
CONFIRM_SECONDS = 15.0
"""A first failed check may be a lost packet; a second one so soon after it decides."""
LATE = timedelta(seconds=60)
_JITTER = 0.1
_MESSAGE = "check: "


@dataclass(frozen=True)
class Outcome:
    """What one check of a host found: its facts, or why it can't be used."""

    facts: dict[str, Any] = field(default_factory=dict)
    failure: str = ""


@dataclass
class News:
    """What checks changed: hosts that failed, hosts that are back, hosts whose bootstrap is to be tried again."""

    failed: list[Host] = field(default_factory=list)
    recovered: list[Host] = field(default_factory=list)
    to_bootstrap: list[Host] = field(default_factory=list)


def spread_overdue(session: Session, interval_seconds: float) -> None:
    """Forget times that nobody kept, those of a longer interval, and claims that outlast one: `schedule` sets new ones.

    So a host that a killed server was checking waits for no longer than the interval. If another server is checking
    it, it is checked twice, which does no harm.
    """
    farthest = now() + timedelta(seconds=interval_seconds * (1 + _JITTER))
    wrong = or_(col(Host.next_check_at) < now() - LATE, col(Host.next_check_at) > farthest)
    session.exec(update(Host).where(wrong).values(next_check_at=None))


def schedule(session: Session, interval_seconds: float) -> None:
    """Give hosts that have no time for their next check one within the interval, all over it."""
    table = Host.__table__  # type: ignore[attr-defined]
    times = [
        {"key": host_id, "at": now() + timedelta(seconds=random.uniform(0, interval_seconds))}  # noqa: S311  no secret
        for host_id in session.exec(select(Host.id).where(_unscheduled()))
    ]
    if times:  # one statement for all: a new fleet of thousands must not hold the write lock for seconds
        statement = update(table).where(table.c.id == bindparam("key")).values(next_check_at=bindparam("at"))
        session.connection().execute(statement, times)


def anything_to_do(session: Session) -> bool:
    """Tell whether a host is due, or has no time for its next check."""
    return session.exec(select(Host.id).where(or_(_due(), _unscheduled())).limit(1)).first() is not None


def claim_due(session: Session, limit: int) -> list[str]:
    """Take up to *limit* hosts that are due, the longest waiting first; no other watcher takes them meanwhile."""
    due = select(Host).where(_due()).order_by(col(Host.next_check_at)).limit(limit)
    hosts = session.exec(due.with_for_update(skip_locked=True, of=Host)).all()
    for host in hosts:
        host.next_check_at = now() + CLAIM
        session.add(host)
    return [host.address for host in hosts]


def lag_seconds(session: Session) -> float:
    """Return for how long the host that waits longest has been due; 0 when none is."""
    oldest: datetime | None = session.exec(select(func.min(Host.next_check_at)).where(_due())).one()
    return max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0


def request_check(session: Session, host: Host) -> None:
    """Let *host* be the next that is checked.

    Raises:
        Conflict: it is being bootstrapped, which looks at it anyway.
    """
    if host.status not in WATCHED:
        raise Conflict(f"host {host.address} is {host.status}; check it when that is done")
    host.next_check_at = now()
    session.add(host)


def record(session: Session, outcomes: dict[str, Outcome], interval_seconds: float, begun: datetime) -> News:
    """Record what checks found that began at *begun*. A host that an operation has had since then is left alone."""
    news = News()
    hosts = select(Host).where(col(Host.address).in_(outcomes)).where(col(Host.status).in_(WATCHED))
    busy = set(session.exec(select(Host.address).where(col(Host.address).in_(outcomes), is_busy(begun))))
    for host in session.exec(hosts.with_for_update()).all():
        outcome = outcomes[host.address]
        host.next_check_at = _later(interval_seconds)
        if host.address not in busy:
            if outcome.failure:
                _failed(host, outcome.failure, interval_seconds, news)
            else:
                _passed(session, host, outcome.facts, news)
        session.add(host)
    return news


def release(session: Session, addresses: Iterable[str]) -> None:
    """Give hosts back that were claimed and not checked; somebody will check them after a while."""
    session.exec(update(Host).where(col(Host.address).in_(list(addresses))).values(next_check_at=None))


def _failed(host: Host, why: str, interval_seconds: float, news: News) -> None:
    host.check_failures += 1
    if host.status == HostStatus.FAILED:
        if host.message.startswith(_MESSAGE):
            host.message = _MESSAGE + why
    elif host.check_failures == 1:
        host.next_check_at = now() + timedelta(seconds=min(CONFIRM_SECONDS, interval_seconds / 4))
    else:
        host.status, host.message = HostStatus.FAILED, _MESSAGE + why
        news.failed.append(host)


def _passed(session: Session, host: Host, facts: dict[str, Any], news: News) -> None:
    host.check_failures = 0
    record_facts(host, facts)
    if host.status != HostStatus.FAILED:
        return
    if host.bootstrapped:
        came_up(session, host)
        news.recovered.append(host)
    else:
        news.to_bootstrap.append(host)


def _later(interval_seconds: float) -> datetime:
    return now() + timedelta(seconds=interval_seconds * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311


def _due() -> ColumnElement[bool]:
    return and_(col(Host.next_check_at) <= now(), col(Host.status).in_(WATCHED), ~is_busy())


def _unscheduled() -> ColumnElement[bool]:
    return and_(col(Host.next_check_at).is_(None), col(Host.status).in_(WATCHED))


def is_busy(since: datetime | None = None) -> ColumnElement[bool]:
    """Whether a host is part of an operation that has begun, or has ended *since*: it may be, or have been, away."""
    begun = and_(col(Operation.state).in_((OperationState.QUEUED, OperationState.RUNNING)), col(Operation.attempt) > 0)
    if since is not None:
        begun = or_(begun, col(Operation.finished_at) >= since)
    operations = select(Operation.id).where(begun)  # no join: it would read the hosts of all operations there ever were
    return col(Host.address).in_(select(OperationHost.address).where(col(OperationHost.operation_id).in_(operations)))
