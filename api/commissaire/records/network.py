"""Networks: how the containers of a cluster reach each other."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from commissaire.records.columns import JsonObject

DEFAULT_NETWORK = "default"


class NetworkType(StrEnum):
    """How flannel on the hosts learns its subnets (Commissaire 0.0.6, chapter 9)."""

    FLANNEL_ETCD = "flannel_etcd"  # from etcd
    FLANNEL_SERVER = "flannel_server"  # from a flannel server, at the option `address`
    FLANNELD_SERVICE = "flanneld_service"  # the same; the documents use both names


class Network(SQLModel, table=True):
    """A named overlay network; `default` is there from the start."""

    name: str = Field(primary_key=True, max_length=64)
    type: str = Field(default=NetworkType.FLANNEL_ETCD, max_length=64)
    options: dict[str, Any] = Field(default_factory=dict, sa_type=JsonObject)
