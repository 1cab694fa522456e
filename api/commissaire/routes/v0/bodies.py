"""The bodies of Commissaire's REST v0 (Commissaire 0.0.6, chapter 10). Unknown keys of a request are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from commissaire.clock import naive_iso
from commissaire.fleet.errors import Invalid
from commissaire.fleet.parameters import MaxFailures, MaxUnavailable
from commissaire.records import (
    Cluster,
    ContainerManager,
    ContainerManagerType,
    Host,
    Network,
    NetworkType,
    Operation,
    OperationState,
)
from commissaire.routes.text import JsonObject, Text

Force = Annotated[
    bool, Query(description="Also when hosts are still nodes of the container manager; their nodes stay there then.")
]
_STATUS = {
    OperationState.QUEUED: "in_process",
    OperationState.RUNNING: "in_process",
    OperationState.PAUSED: "in_process",
    OperationState.FINISHED: "finished",
    OperationState.FAILED: "failed",
    OperationState.CANCELLED: "failed",
}


class ClusterWanted(BaseModel):
    """PUT of a cluster."""

    name: Text | None = None
    network: Text | None = Field(None, description="Name of the network; left out it is `default`.")
    container_manager: Text | None = Field(None, description='Name of the container manager; `""` is none.')


class MembersWanted(BaseModel):
    """PUT of a cluster's members: a comparison of sets."""

    name: Text | None = None
    old: list[Text]
    new: list[Text]


class NetworkWanted(BaseModel):
    """PUT of a network."""

    name: Text | None = None
    type: Text = NetworkType.FLANNEL_ETCD
    options: JsonObject = Field(default_factory=dict, description="`flannel_server`: `address`, as HOST:PORT.")


class NetworkShown(BaseModel):
    """A network."""

    name: str
    type: NetworkType
    options: dict[str, Any]

    @classmethod
    def of(cls, network: Network) -> NetworkShown:
        """Show a record."""
        return cls(name=network.name, type=NetworkType(network.type), options=network.options)


class ContainerManagerWanted(BaseModel):
    """PUT of a container manager."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: Text | None = None
    type: Text = ContainerManagerType.OPENSHIFT
    options: JsonObject = Field(
        default_factory=dict, description="`server_url`, and `token` or `certificate_path` with `certificate_key_path`."
    )


class ContainerManagerShown(BaseModel):
    """A container manager; its secrets are `********`."""

    name: str
    type: ContainerManagerType
    options: dict[str, Any]

    @classmethod
    def of(cls, manager: ContainerManager) -> ContainerManagerShown:
        """Show a record."""
        return cls(name=manager.name, type=ContainerManagerType(manager.type), options=manager.options)


class RollingWanted(BaseModel):
    """PUT of a restart or upgrade. Commissaire 0.0.6 had no body; both limits may be left out."""

    name: Text | None = None
    max_unavailable: MaxUnavailable = None
    max_failures: MaxFailures = None

    def parameters(self) -> dict[str, Any]:
        """Return what was given."""
        return self.model_dump(exclude_none=True, exclude={"name"})


class DeployWanted(RollingWanted):
    """PUT of a deploy."""

    version: StrictStr = Field(description="Which OSTree tree to deploy: a version, checksum or ref.")


class HostWanted(BaseModel):
    """PUT of a host."""

    model_config = ConfigDict(hide_input_in_errors=True)

    address: Text | None = None
    ssh_priv_key: StrictStr | None = Field(None, description="The private key, base64 encoded without newlines.")
    remote_user: Text | None = Field(None, description="User that ssh connects as. Default root.")
    cluster: Text | None = Field(None, description="Name of the cluster it becomes a member of.")
    source: Text | None = Field(None, description="External source for host information.")
    ssh_host_key: StrictStr | None = Field(
        None, description="The host's own public key; without it, the first one that it shows is pinned."
    )


class HostShown(BaseModel):
    """A host record; never with secrets."""

    address: str
    status: str
    os: str
    cpus: int
    memory: int = Field(description="Kilobytes.")
    space: int = Field(description="Bytes.")
    last_check: str = Field(description="Naive UTC, ISO 8601; empty before the first check.")
    source: str

    @classmethod
    def of(cls, host: Host) -> HostShown:
        """Show a record."""
        return cls(
            address=host.address,
            status=host.status,
            os=host.os,
            cpus=host.cpus,
            memory=host.memory_kb,
            space=host.space_bytes,
            last_check=naive_iso(host.last_check) or "",
            source=host.source,
        )


class HostCreds(BaseModel):
    """By what a host is reached."""

    address: str
    ssh_priv_key: str = Field(description="The private key, base64 encoded; empty when none is recorded.")
    remote_user: str


class HostCounts(BaseModel):
    """How many hosts of a cluster are active."""

    total: int
    available: int
    unavailable: int


class ClusterBrief(BaseModel):
    """What a PUT of a cluster answers."""

    name: str
    status: str
    network: str
    container_manager: str

    @classmethod
    def of(cls, cluster: Cluster, status: str) -> ClusterBrief:
        """Show a record."""
        return cls(
            name=cluster.name, status=status, network=cluster.network, container_manager=cluster.container_manager or ""
        )


class ClusterShown(ClusterBrief):
    """A cluster with what its hosts add up to."""

    hosts: HostCounts
    hostset: list[str]


class ClusterMembers(ClusterBrief):
    """What a PUT of a cluster's members answers."""

    hostset: list[str]


class RollingShown(BaseModel):
    """A rolling operation on a cluster. Times are naive UTC, ISO 8601 with microseconds."""

    name: str
    status: str
    in_process: list[HostShown]
    started_at: str
    finished_at: str | None

    @classmethod
    def of(cls, operation: Operation, in_process: list[HostShown], **others: list[HostShown]) -> Self:
        """Show a record; *others* is the list of hosts that are done, by its name."""
        return cls.model_validate(
            {
                "name": operation.cluster or "",
                "status": _STATUS[OperationState(operation.state)],
                "version": operation.parameters.get("version"),
                "in_process": in_process,
                "started_at": naive_iso(operation.created_at),  # it tells operations apart, so it must not move
                "finished_at": naive_iso(operation.finished_at),
                **others,
            }
        )


class RestartShown(RollingShown):
    """A restart of a cluster."""

    restarted: list[HostShown]


class UpgradeShown(RollingShown):
    """An upgrade of a cluster."""

    upgraded: list[HostShown]


class DeployShown(RollingShown):
    """A deploy on a cluster."""

    version: str
    deployed: list[HostShown]


class HostStatusOfHost(BaseModel):
    """The host's part of its status."""

    last_check: str
    status: str


class HostStatusShown(BaseModel):
    """A host's status, and what the container manager says of it."""

    type: str
    host: HostStatusOfHost
    container_manager: dict[str, Any]


def check_repeated(name: str, given: str | None, in_url: str) -> None:
    """Refuse a body that names another thing than the URL does.

    Raises:
        Invalid: it does.
    """
    if given is not None and given != in_url:
        raise Invalid(f"the body's {name} is {given!r}, the URL's is {in_url!r}; leave it out of the body")
