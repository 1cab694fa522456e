"""Let operations be paused, stopped after the hosts under way, tried without a change, retried and repeated."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    # not sa.false(), for which batch mode makes the table anew on SQLite: to drop it would empty the journal
    with op.batch_alter_table("operation") as batch_op:
        batch_op.add_column(sa.Column("dry_run", sa.Boolean(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("retry_of", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("kills", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("done_at_kill", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("halt", AutoString(length=8), nullable=True))
        batch_op.add_column(sa.Column("halt_reason", AutoString(), nullable=False, server_default=""))
    op.create_table(
        "idempotency_key",
        sa.Column("requested_by", AutoString(), nullable=False),
        sa.Column("key", AutoString(length=255), nullable=False),
        sa.Column("digest", AutoString(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("requested_by", "key"),
    )
    op.create_index(op.f("ix_idempotency_key_operation_id"), "idempotency_key", ["operation_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("idempotency_key")
    for name in ("halt_reason", "halt", "done_at_kill", "kills", "retry_of", "dry_run"):
        op.drop_column("operation", name)
