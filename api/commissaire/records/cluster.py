"""Clusters: hosts that are operated on together."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel

from commissaire.clock import now
from commissaire.records.columns import UtcDateTime
from commissaire.records.network import DEFAULT_NETWORK


class ClusterStatus(StrEnum):
    """What the hosts of a cluster add up to (Commissaire 0.0.6, chapter 9)."""

    OK = "ok"  # all hosts are active, or there are none
    DEGRADED = "degraded"  # some hosts are not active
    FAILED = "failed"  # no host is active


class Cluster(SQLModel, table=True):
    """A named group of hosts. A host is in one cluster at most: `Host.cluster_id`."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=64)
    network: str = Field(default=DEFAULT_NETWORK, foreign_key="network.name")
    container_manager: str | None = Field(default=None, foreign_key="container_manager.name")
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
