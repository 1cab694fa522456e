"""Remember as which node a host is known to its container manager."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("host", sa.Column("node_name", AutoString(length=253), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    op.drop_column("host", "node_name")
