"""Make the first tables."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

from commissaire.records.columns import JsonObject, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("who", AutoString(), nullable=False),
        sa.Column("what", AutoString(), nullable=False),
        sa.Column("client", AutoString(), nullable=False),
        sa.Column("outcome", sa.Integer(), nullable=False),
        sa.Column("request_id", AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entry_time"), ["time"], unique=False)

    op.create_table(
        "container_manager",
        sa.Column("name", AutoString(length=64), nullable=False),
        sa.Column("type", AutoString(length=64), nullable=False),
        sa.Column("options", JsonObject, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "network",
        sa.Column("name", AutoString(length=64), nullable=False),
        sa.Column("type", AutoString(length=64), nullable=False),
        sa.Column("options", JsonObject, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", AutoString(length=32), nullable=False),
        sa.Column("cluster", AutoString(length=64), nullable=True),
        sa.Column("state", AutoString(length=16), nullable=False),
        sa.Column("message", AutoString(), nullable=False),
        sa.Column("parameters", JsonObject, nullable=False),
        sa.Column("requested_by", AutoString(), nullable=False),
        sa.Column("request_id", AutoString(), nullable=False),
        sa.Column("exclusive_key", AutoString(length=128), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", AutoString(length=64), nullable=True),
        sa.Column("heartbeat_at", UtcDateTime(), nullable=True),
        sa.Column("cancel_requested_by", AutoString(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("exclusive_key"),
    )
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operation_cluster"), ["cluster"], unique=False)
        batch_op.create_index(batch_op.f("ix_operation_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_operation_state"), ["state"], unique=False)

    op.create_table(
        "secret",
        sa.Column("owner", AutoString(length=128), nullable=False),
        sa.Column("field", AutoString(length=64), nullable=False),
        sa.Column("key_id", AutoString(length=64), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "field"),
    )
    with op.batch_alter_table("secret", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_secret_key_id"), ["key_id"], unique=False)

    op.create_table(
        "cluster",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", AutoString(length=64), nullable=False),
        sa.Column("network", AutoString(), nullable=False),
        sa.Column("container_manager", AutoString(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["container_manager"],
            ["container_manager.name"],
        ),
        sa.ForeignKeyConstraint(
            ["network"],
            ["network.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("type", AutoString(length=16), nullable=False),
        sa.Column("host", AutoString(length=253), nullable=True),
        sa.Column("phase", AutoString(length=64), nullable=True),
        sa.Column("task", AutoString(), nullable=True),
        sa.Column("message", AutoString(), nullable=False),
        sa.Column("data", JsonObject, nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq"),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_event_operation_id"), ["operation_id"], unique=False)

    op.create_table(
        "operation_host",
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("address", AutoString(length=253), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", AutoString(length=16), nullable=False),
        sa.Column("phase", AutoString(length=64), nullable=False),
        sa.Column("message", AutoString(), nullable=False),
        sa.Column("data", JsonObject, nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("updated_by_event", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("operation_id", "address"),
    )
    with op.batch_alter_table("operation_host", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operation_host_address"), ["address"], unique=False)

    op.create_table(
        "host",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", AutoString(length=253), nullable=False),
        sa.Column("status", AutoString(length=32), nullable=False),
        sa.Column("message", AutoString(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=True),
        sa.Column("remote_user", AutoString(length=32), nullable=False),
        sa.Column("host_key", AutoString(), nullable=True),
        sa.Column("source", AutoString(), nullable=False),
        sa.Column("os", AutoString(), nullable=False),
        sa.Column("os_version", AutoString(), nullable=False),
        sa.Column("os_family", AutoString(), nullable=False),
        sa.Column("kernel", AutoString(), nullable=False),
        sa.Column("cpus", sa.Integer(), nullable=False),
        sa.Column("memory_kb", sa.BigInteger(), nullable=False),
        sa.Column("space_bytes", sa.BigInteger(), nullable=False),
        sa.Column("last_check", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["cluster.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("address"),
    )
    with op.batch_alter_table("host", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_host_cluster_id"), ["cluster_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_host_status"), ["status"], unique=False)

    op.execute(sa.text("INSERT INTO network (name, type, options) VALUES ('default', 'flannel_etcd', '{}')"))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("host", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_host_status"))
        batch_op.drop_index(batch_op.f("ix_host_cluster_id"))

    op.drop_table("host")
    with op.batch_alter_table("operation_host", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_operation_host_address"))

    op.drop_table("operation_host")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_event_operation_id"))

    op.drop_table("event")
    op.drop_table("cluster")
    with op.batch_alter_table("secret", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_secret_key_id"))

    op.drop_table("secret")
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_operation_state"))
        batch_op.drop_index(batch_op.f("ix_operation_kind"))
        batch_op.drop_index(batch_op.f("ix_operation_cluster"))

    op.drop_table("operation")
    op.drop_table("network")
    op.drop_table("container_manager")
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_entry_time"))

    op.drop_table("audit_entry")
