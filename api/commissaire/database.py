"""The database: one engine an application, short transactions, migrations at the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session, create_engine

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT_SECONDS = 30


class Database:
    """Sessions on the database behind a SQLAlchemy URL.

    On SQLite a writing transaction takes the write lock when it begins (`BEGIN IMMEDIATE`), so that it waits for its
    turn instead of failing half-way; readers never wait (WAL).
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        options: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 20, "max_overflow": 30}
        if self.is_sqlite:
            options = {
                "connect_args": {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
                "pool_size": 20,
                "max_overflow": 60,  # more than there are threads: who waits, waits for the write lock
            }
        self.engine: Engine = create_engine(parsed, json_serializer=_dump, json_deserializer=orjson.loads, **options)
        self.sessions = sessionmaker(self.engine, class_=Session, expire_on_commit=False)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that only reads."""
        with self.sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session that commits at the end, or rolls back when an exception leaves it."""
        with self.sessions() as session:
            session.connection(execution_options={"commissaire_write": True})
            yield session
            session.commit()

    def migrate(self) -> None:
        """Bring the tables to the newest form.

        Raises:
            RuntimeError: a row would refer to one that isn't there; nothing has changed.
        """
        from alembic import command  # half a second of imports that nothing else needs
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with (
            self.engine.connect().execution_options(commissaire_write=True) as connection,
            self._without_references(connection),
            connection.begin(),
        ):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if self.is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                raise RuntimeError(f"rows of {broken[0][0]} refer to rows of {broken[0][2]} that are not there")

    @contextmanager
    def _without_references(self, connection: Connection) -> Iterator[None]:
        """Keep SQLite from deleting what refers to a table that is made anew (https://sqlite.org/lang_altertable.html).

        In a transaction the pragma would do nothing.
        """
        driver: Any = connection.connection.dbapi_connection
        if self.is_sqlite:
            driver.execute("PRAGMA foreign_keys=OFF")
        try:
            yield
        finally:
            if self.is_sqlite:
                driver.execute("PRAGMA foreign_keys=ON")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not by the driver's guess
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("commissaire_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
