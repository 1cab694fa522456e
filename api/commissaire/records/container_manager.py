"""Container managers: the Kubernetes or OpenShift that a cluster's hosts are nodes of."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from commissaire.records.columns import JsonObject


class ContainerManagerType(StrEnum):
    """The kinds of container managers."""

    OPENSHIFT = "openshift"
    KUBERNETES = "kubernetes"
    TRIVIAL = "trivial"  # does nothing, for trials


class ContainerManager(SQLModel, table=True):
    """A named container manager. Its secret options lie in `Secret`, never in `options`."""

    __tablename__ = "container_manager"

    name: str = Field(primary_key=True, max_length=64)
    type: str = Field(default=ContainerManagerType.OPENSHIFT, max_length=64)
    options: dict[str, Any] = Field(default_factory=dict, sa_type=JsonObject)
