"""Record hypervisors."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "hypervisor",
        sa.Column("name", AutoString(length=64), nullable=False),
        sa.Column("uri", AutoString(length=512), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("virt_type", AutoString(length=16), nullable=False),
        sa.Column("probed_virt_type", AutoString(length=16), nullable=False),
        sa.Column("pool", AutoString(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("hypervisor")
