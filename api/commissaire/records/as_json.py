"""JSON made by the database itself: for thousands of rows that nobody looks into on the way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Text, cast, func, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlmodel import Session


class iso_time(FunctionElement[str]):  # noqa: N801  named as SQL functions are
    """A time as `2026-11-21T09:00:00.123456`, naive UTC as it is kept; empty when there is none."""

    inherit_cache = True
    type = Text()


@compiles(iso_time, "sqlite")
def _sqlite(element: iso_time, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"coalesce(replace({compiler.process(element.clauses, **kwargs)}, ' ', 'T'), '')"


@compiles(iso_time, "postgresql")
def _postgresql(element: iso_time, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"coalesce(to_char({compiler.process(element.clauses, **kwargs)}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '')"


def json_array(session: Session, fields: Mapping[str, ColumnElement[Any]], order_by: ColumnElement[Any]) -> bytes:
    """Return `[{NAME: VALUE, ...}, ...]`, an object for each row that *fields* are columns of."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    make, gather = ("json_object", "json_group_array") if sqlite else ("json_build_object", "json_agg")
    rows = select(_object(make, fields).label("row")).order_by(order_by).subquery()
    row = func.json(rows.c.row) if sqlite else rows.c.row
    return _bytes(session, getattr(func, gather)(row), b"[]")


def json_map(
    session: Session, source: FromClause, key: ColumnElement[str], fields: Mapping[str, ColumnElement[Any]]
) -> bytes:
    """Return `{KEY: {NAME: VALUE, ...}, ...}`, an object for each row of *source*."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    make, gather = ("json_object", "json_group_object") if sqlite else ("json_build_object", "json_object_agg")
    rows = select(key.label("key"), _object(make, fields).label("row")).select_from(source).subquery()
    row = func.json(rows.c.row) if sqlite else rows.c.row
    return _bytes(session, getattr(func, gather)(rows.c.key, row), b"{}")


def json_column(session: Session, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column of JSON as a value inside the JSON that is made here."""
    return func.json(column, type_=Text()) if session.get_bind().dialect.name == "sqlite" else column


def _object(make: str, fields: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    pairs = [part for name, column in fields.items() for part in (literal_column(f"'{name}'"), column)]
    return getattr(func, make)(*pairs, type_=Text())  # type: ignore[no-any-return]


def _bytes(session: Session, gathered: ColumnElement[Any], empty: bytes) -> bytes:
    text = session.connection().execute(select(cast(gathered, Text))).scalar()
    return text.encode() if text else empty
