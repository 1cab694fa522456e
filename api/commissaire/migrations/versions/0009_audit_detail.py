"""Let the audit trail tell what was asked for, where the path doesn't."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("audit_entry", sa.Column("detail", AutoString(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    op.drop_column("audit_entry", "detail")
