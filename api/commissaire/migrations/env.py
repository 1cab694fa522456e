"""Alembic's environment: it runs on the connection that `Database.migrate` gives it."""

import commissaire.records  # noqa: F401  the tables register themselves
from alembic import context
from sqlmodel import SQLModel

context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
