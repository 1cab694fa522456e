"""The migrations lead to the records' own tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel, select

from commissaire.database import MIGRATIONS, Database
from commissaire.records import AuditEntry, Host, Operation, Secret

HOST = text(
    "INSERT INTO host (address, status, message, remote_user, source, os, os_version, os_family, kernel, cpus,"
    " memory_kb, space_bytes, created_at)"
    " VALUES (:address, :status, :message, 'root', '', 'debian', '12', 'debian', '6.1', 2, 1, 1, '2026-01-01')"
)

OPERATION = text(
    "INSERT INTO operation (id, kind, state, message, parameters, requested_by, request_id, attempt, created_at)"
    " VALUES (7, 'restart', 'failed', '', '{}', 'admin', '', 1, '2026-01-01')"
)
OPERATION_HOST = text("INSERT INTO operation_host VALUES (7, '10.0.0.1', 0, 'failed', '', '', '{}', 0, 0, 0)")
EVENT = text("INSERT INTO event VALUES (1, 7, '2026-01-01', 'task', '10.0.0.1', '', '', '', '{}')")


def test_the_migrated_tables_are_the_records(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'commissaire.db'}")
    database.migrate()
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    database.close()
    assert differences == []


def test_hosts_and_secrets_of_the_first_release_are_still_there(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'commissaire.db'}")
    _migrate(database, "0001")
    statuses = {
        "10.0.0.1": ("active", ""),
        "10.0.0.2": ("disassociated", ""),
        "10.0.0.3": ("failed", "restart: verifying: is back, but degraded"),
        "10.0.0.4": ("failed", "bootstrap: python: there is none"),
        "10.0.0.5": ("investigating", ""),
    }
    with database.engine.begin() as connection:
        for address, (status, message) in statuses.items():
            connection.execute(HOST, {"address": address, "status": status, "message": message})
        connection.execute(text("INSERT INTO secret VALUES ('host/1', 'ssh_priv_key', 'a key', x'01', x'02')"))
        connection.execute(text("INSERT INTO audit_entry VALUES (1, '2026-01-01', 'admin', 'PUT /', '::1', 201, 'id')"))

    database.migrate()

    with database.read() as session:
        hosts = session.exec(select(Host)).all()
        secret = session.get_one(Secret, ("host/1", "ssh_priv_key"))
        entry = session.get_one(AuditEntry, 1)
    database.close()
    assert {host.address: (host.status, host.message) for host in hosts} == statuses
    assert [host.address for host in hosts if host.bootstrapped] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert {(host.check_failures, host.next_check_at, host.source_seen_at) for host in hosts} == {(0, None, None)}
    assert (secret.backend, secret.key_id, secret.wrapped_key, secret.sealed) == ("embedded", "a key", b"\1", b"\2")
    assert (entry.who, entry.role, entry.detail) == ("admin", "", "")


def test_the_journal_of_the_release_before_control_is_still_there_also_on_the_way_back(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'commissaire.db'}")
    _migrate(database, "0006")
    with database.engine.begin() as connection:
        connection.execute(OPERATION)
        connection.execute(OPERATION_HOST)
        connection.execute(EVENT)
    for revision in ("head", "0006"):  # not by `Database.migrate`: it would keep them whatever a migration does
        _migrate(database, revision)
        with database.engine.connect() as connection:
            assert _journal(connection) == [(7, "10.0.0.1", 1)], revision
    database.migrate()
    with database.read() as session:
        operation = session.get_one(Operation, 7)
        assert (operation.dry_run, operation.kills, operation.halt) == (False, 0, None)
        assert _journal(session.connection()) == [(7, "10.0.0.1", 1)]
        assert session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()


def test_a_migration_that_would_leave_rows_without_what_they_refer_to_changes_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'commissaire.db'}")
    _migrate(database, "0006")
    driver = sqlite3.connect(tmp_path / "commissaire.db")  # without enforcement, which is its default
    driver.execute(EVENT.text)
    driver.commit()
    driver.close()
    with pytest.raises(RuntimeError, match="rows of event refer to rows of operation that are not there"):
        database.migrate()
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0006"
    database.close()


def _journal(connection: Connection) -> list[tuple[object, ...]]:
    rows = connection.execute(
        text("SELECT o.operation_id, o.address, e.seq FROM operation_host o JOIN event e USING (operation_id)")
    )
    return [tuple(row) for row in rows]


def _migrate(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        current = MigrationContext.configure(connection).get_current_revision() or ""
        (command.downgrade if current > revision and revision != "head" else command.upgrade)(config, revision)
