"""Let hosts be checked again and again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. A host that failed in another way than its bootstrap had been bootstrapped before."""
    with op.batch_alter_table("host") as batch_op:
        batch_op.add_column(sa.Column("bootstrapped", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("next_check_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("check_failures", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_index(batch_op.f("ix_host_next_check_at"), ["next_check_at"])
    host = sa.table("host", sa.column("bootstrapped", sa.Boolean), sa.column("status"), sa.column("message"))
    was_up = sa.or_(
        host.c.status.in_(("active", "disassociated")),
        sa.and_(host.c.status == "failed", ~host.c.message.startswith("bootstrap")),
    )
    op.execute(sa.update(host).where(was_up).values(bootstrapped=sa.true()))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("host") as batch_op:
        batch_op.drop_index(batch_op.f("ix_host_next_check_at"))
        batch_op.drop_column("check_failures")
        batch_op.drop_column("next_check_at")
        batch_op.drop_column("bootstrapped")
