"""Let clients keep secrets under API ids."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

from commissaire.records.columns import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "api_key",
        sa.Column("name", AutoString(length=64), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "secret_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("api_id", AutoString(length=64), nullable=False),
        sa.Column("path", AutoString(length=1024), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("api_id", "path"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("secret_entry")
    op.drop_table("api_key")
