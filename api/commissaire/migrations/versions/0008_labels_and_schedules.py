"""Let hosts carry labels, and operations be asked for by schedules."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import AutoString

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("host") as batch_op:
        batch_op.add_column(sa.Column("labels", _JSON, nullable=False, server_default=sa.text("'{}'")))
    op.create_table(
        "schedule",
        sa.Column("name", AutoString(length=64), nullable=False),
        sa.Column("cron", AutoString(length=128), nullable=False),
        sa.Column("time_zone", AutoString(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("grace_seconds", sa.Integer(), nullable=False),
        sa.Column("kind", AutoString(length=32), nullable=False),
        sa.Column("cluster", AutoString(length=64), nullable=False),
        sa.Column("parameters", _JSON, nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("next_run_at", sa.DateTime(), nullable=True),
        sa.Column("last_run_at", sa.DateTime(), nullable=True),
        sa.Column("last_outcome", AutoString(length=16), nullable=True),
        sa.Column("last_message", AutoString(), nullable=False),
        sa.Column("last_operation_id", sa.Integer(), nullable=True),
        sa.Column("created_by", AutoString(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index(op.f("ix_schedule_next_run_at"), "schedule", ["next_run_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("schedule")
    with op.batch_alter_table("host") as batch_op:
        batch_op.drop_column("labels")
