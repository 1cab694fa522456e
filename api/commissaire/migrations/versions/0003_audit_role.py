"""Let the audit trail tell in which role somebody acted."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("audit_entry") as batch_op:
        batch_op.add_column(sa.Column("role", AutoString(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("audit_entry") as batch_op:
        batch_op.drop_column("role")
