"""Networks: how the containers of a cluster reach each other."""

from __future__ import annotations

from typing import Any

from sqlmodel import Field, SQLModel

from commissaire.records.columns import JsonObject

DEFAULT_NETWORK = "default"


class Network(SQLModel, table=True):
    """A named overlay network; `default` is there from the start."""

    name: str = Field(primary_key=True, max_length=64)
    type: str = Field(default="flannel_etcd", max_length=64)
    options: dict[str, Any] = Field(default_factory=dict, sa_type=JsonObject)
