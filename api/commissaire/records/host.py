"""Hosts: the machines of the fleet and what is known of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, false, text
from sqlmodel import Field, SQLModel

from commissaire.clock import now
from commissaire.records.columns import JsonObject, UtcDateTime


class HostStatus(StrEnum):
    """Where a host is in its life (Commissaire 0.0.6, chapter 9)."""

    INVESTIGATING = "investigating"  # credentials are known, the host is being looked at
    BOOTSTRAPPING = "bootstrapping"  # it is being changed to become active
    ACTIVE = "active"  # it is part of its cluster
    DISASSOCIATED = "disassociated"  # it works, and is in no cluster or not known to its container manager
    FAILED = "failed"  # it can't be used; `message` says why


BEING_BOOTSTRAPPED = (HostStatus.INVESTIGATING, HostStatus.BOOTSTRAPPING)
"""Statuses of hosts that are just being looked at and set up."""

READY = (HostStatus.ACTIVE, HostStatus.DISASSOCIATED)
"""Statuses in which a host may join a cluster and be operated on."""


class Host(SQLModel, table=True):
    """A machine reached by ssh. Its private key is a `Secret`; its own public host keys are pinned here.

    `bootstrapped` is how its last bootstrap ended; `check_failures` counts the watcher's failed checks in a row.
    `source_seen_at` is when the host's source listed it last. `node_name` is how its container manager knows it.
    """

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(unique=True, max_length=253)
    status: str = Field(default=HostStatus.INVESTIGATING, max_length=32, index=True)
    message: str = ""
    cluster_id: int | None = Field(default=None, foreign_key="cluster.id", index=True)
    remote_user: str = Field(default="root", max_length=32)
    host_key: str | None = None
    source: str = Field(default="", index=True)
    source_seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    labels: dict[str, Any] = Field(
        default_factory=dict, sa_type=JsonObject, sa_column_kwargs={"server_default": text("'{}'")}
    )
    os: str = ""
    os_version: str = ""
    os_family: str = ""
    kernel: str = ""
    cpus: int = 0
    memory_kb: int = Field(default=0, sa_type=BigInteger)
    space_bytes: int = Field(default=0, sa_type=BigInteger)
    bootstrapped: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    last_check: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_check_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    node_name: str = Field(default="", max_length=253, sa_column_kwargs={"server_default": ""})
    check_failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
