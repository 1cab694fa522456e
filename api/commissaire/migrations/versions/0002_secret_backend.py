"""Let a secret's record say which backend keeps its value."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("secret") as batch_op:
        batch_op.add_column(sa.Column("backend", AutoString(length=32), nullable=False, server_default="embedded"))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("secret") as batch_op:
        batch_op.drop_column("backend")
