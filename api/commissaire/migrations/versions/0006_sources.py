"""Let external providers own what is known of hosts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import AutoString

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "source",
        sa.Column("name", AutoString(length=64), nullable=False),
        sa.Column("error", AutoString(), nullable=False),
        sa.Column("tried_at", sa.DateTime(), nullable=True),
        sa.Column("listed_at", sa.DateTime(), nullable=True),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("number_of_hosts", sa.Integer(), nullable=False),
        sa.Column("hosts", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    with op.batch_alter_table("host") as batch_op:
        batch_op.add_column(sa.Column("source_seen_at", sa.DateTime(), nullable=True))
        batch_op.create_index(batch_op.f("ix_host_source"), ["source"])


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("host") as batch_op:
        batch_op.drop_index(batch_op.f("ix_host_source"))
        batch_op.drop_column("source_seen_at")
    op.drop_table("source")
