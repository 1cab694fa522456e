"""What a transaction changes, collected while it runs; handed over when it is committed, forgotten when it is not.

Several changes of one record in one transaction become one notification, with the record as it is in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Mapper, Session, SessionTransaction, UOWTransaction, sessionmaker

from commissaire.bus.notification import PUBLIC, ChangeEvent, Notification
from commissaire.records import Cluster

log = structlog.get_logger(__name__)
_WATCHED = "commissaire_watched"
_CHANGES = "commissaire_changes"
_Changes = dict[tuple[type, tuple[Any, ...]], tuple[ChangeEvent, dict[str, Any]]]


def watch(sessions: sessionmaker[Any], send: Callable[[list[Notification]], None]) -> None:
    """Give *send* the notifications of each transaction that is committed, in the thread that committed it."""

    def hand_over(session: Session) -> None:
        if session.in_nested_transaction():
            return
        changes: _Changes = session.info.pop(_CHANGES, {})
        try:
            if changes:
                send([Notification.of(model, change, record) for (model, _), (change, record) in changes.items()])
        except Exception:  # what is committed is no failure because nobody heard of it
            log.exception("notifications_failed")

    event.listen(sessions, "after_flush", _collect)
    event.listen(sessions, "after_commit", hand_over)
    event.listen(sessions, "after_soft_rollback", _forget)
    sessions.configure(info={_WATCHED: True})


def announce(session: Session, model: type, change: ChangeEvent, rows: Iterable[Mapping[str, Any]]) -> None:
    """Tell of *rows* that a statement of SQLAlchemy's Core writes; the session itself sees only changes of objects.

    A row has the primary key and the public fields of *model*, under the columns' names.
    """
    if not session.info.get(_WATCHED):
        return
    mapper: Mapper[Any] = inspect(model)
    key = [column.name for column in mapper.primary_key]
    for row in rows:
        _add(session, model, [row[name] for name in key], change, {name: row.get(name) for name in PUBLIC[model]})


def _collect(session: Session, _: UOWTransaction) -> None:
    hosts = []
    for change, objects in (
        (ChangeEvent.CREATED, session.new),
        (ChangeEvent.UPDATED, session.dirty),
        (ChangeEvent.DELETED, session.deleted),
    ):
        for instance in objects:
            public = PUBLIC.get(type(instance))
            if public is None:
                continue
            state = inspect(instance)
            if change == ChangeEvent.UPDATED and not any(state.attrs[name].history.has_changes() for name in public):
                continue
            record = {name: state.dict.get(name) for name in public}  # by attribute it could mean a query in a flush
            if "cluster_id" in record:
                hosts.append(record)
            _add(session, type(instance), state.mapper.primary_key_from_instance(instance), change, record)
    _name_clusters(session, hosts)


def _name_clusters(session: Session, hosts: list[dict[str, Any]]) -> None:
    """Replace the `cluster_id` of the records by the cluster's name."""
    wanted = {host["cluster_id"] for host in hosts} - {None}
    table = Cluster.__table__  # type: ignore[attr-defined]
    query = select(table.c.id, table.c.name).where(table.c.id.in_(wanted))
    names = {row.id: row.name for row in session.connection().execute(query)} if wanted else {}
    for host in hosts:
        host["cluster"] = names.get(host.pop("cluster_id"))


def _add(session: Session, model: type, key: Iterable[Any], change: ChangeEvent, record: dict[str, Any]) -> None:
    changes: _Changes = session.info.setdefault(_CHANGES, {})
    place = (model, tuple(key))
    before = changes.pop(place, (None, None))[0]
    if before == ChangeEvent.CREATED:
        if change == ChangeEvent.DELETED:
            return
        change = ChangeEvent.CREATED
    elif before == ChangeEvent.DELETED and change == ChangeEvent.CREATED:
        change = ChangeEvent.UPDATED
    changes[place] = (change, record)


def _forget(session: Session, previous: SessionTransaction) -> None:
    if not previous.nested:
        session.info.pop(_CHANGES, None)
