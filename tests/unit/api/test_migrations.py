"""The migrations lead to the records' own tables."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

import commissaire.records  # noqa: F401  the tables register themselves
from commissaire.database import Database


def test_the_migrated_tables_are_the_records(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'commissaire.db'}")
    database.migrate()
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    database.close()
    assert differences == []
