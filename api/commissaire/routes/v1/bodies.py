"""The bodies of REST v1. Unknown keys of a request are refused; times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from commissaire.clock import rfc3339
from commissaire.fleet.labels import LabelChanges, Labels
from commissaire.fleet.parameters import (
    DeployParameters,
    KubeletUpgradeParameters,
    NodeLeaveParameters,
    RollingParameters,
    UpgradeParameters,
)
from commissaire.fleet.plain_text import PlainLine
from commissaire.fleet.sources import SourceState
from commissaire.records import (
    Event,
    EventType,
    Halt,
    Host,
    HostStatus,
    Operation,
    OperationHost,
    OperationHostState,
    OperationKind,
    OperationState,
)
from commissaire.routes.text import Text


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _RollingWanted(_Request):
    cluster: Text
    dry_run: bool = Field(default=False, description="Only tell what would be done, by `--check --diff`.")


class RestartWanted(_RollingWanted):
    """POST of a restart."""

    kind: Literal[OperationKind.RESTART]
    parameters: RollingParameters = Field(default_factory=RollingParameters)


class UpgradeWanted(_RollingWanted):
    """POST of an upgrade."""

    kind: Literal[OperationKind.UPGRADE]
    parameters: UpgradeParameters = Field(default_factory=UpgradeParameters)


class DeployWanted(_RollingWanted):
    """POST of a deploy."""

    kind: Literal[OperationKind.DEPLOY]
    parameters: DeployParameters


class KubeletUpgradeWanted(_RollingWanted):
    """POST of an upgrade of kubelets, by one minor version after the other."""

    kind: Literal[OperationKind.KUBELET_UPGRADE]
    parameters: KubeletUpgradeParameters = Field(default_factory=KubeletUpgradeParameters)


class NodeLeaveWanted(_RollingWanted):
    """POST of nodes' leave from their container manager; the hosts stay in the cluster, disassociated."""

    kind: Literal[OperationKind.NODE_LEAVE]
    parameters: NodeLeaveParameters


class _LeasesWanted(_Request):
    cluster: Text | None = Field(default=None, description="All hosts of this cluster, or")
    hosts: list[Text] | None = Field(default=None, min_length=1, max_length=1000, description="these hosts' addresses.")


class LeaseShowWanted(_LeasesWanted):
    """POST of a question who holds the leases on hosts; the answers are in the hosts' `data.lease`."""

    kind: Literal[OperationKind.LEASE_SHOW]


class LeaseBreakParameters(_Request):
    """The parameters of a break of leases."""

    reason: Annotated[PlainLine, Field(min_length=1, description="Why, in one line; hosts log it, too.")]


class LeaseBreakWanted(_LeasesWanted):
    """POST of a break of leases: who held one does nothing more on the host, if anybody is there at all."""

    kind: Literal[OperationKind.LEASE_BREAK]
    parameters: LeaseBreakParameters


RollingWanted = RestartWanted | UpgradeWanted | DeployWanted | KubeletUpgradeWanted | NodeLeaveWanted
OperationWanted = Annotated[RollingWanted | LeaseShowWanted | LeaseBreakWanted, Field(discriminator="kind")]
"""POST of an operation."""


class CancelWanted(_Request):
    """POST of a cancellation."""

    after_current_hosts: bool = Field(
        default=False, description="Let the hosts under way come to their end first, and start no other."
    )


class PauseWanted(_Request):
    """POST of a pause."""

    reason: Annotated[str, Field(max_length=500)] = Field(default="", description="Told to whoever looks.")


class HostKeyWanted(_Request):
    """PUT of a host's pinned key; null forgets it, and the next key that the host shows is pinned."""

    host_key: StrictStr | None


class LabelsWanted(_Request):
    """PUT of a host's labels."""

    labels: Labels


class LabelChangesWanted(_Request):
    """POST of changes to a host's labels; null takes one away."""

    labels: LabelChanges


class OperationHostCounts(BaseModel):
    """How many hosts of an operation are in which state."""

    total: int
    pending: int = 0
    running: int = 0
    finished: int = 0
    failed: int = 0
    skipped: int = 0
    not_started: int = 0
    cancelled: int = 0


class OperationShown(BaseModel):
    """An operation."""

    id: int
    kind: OperationKind
    cluster: str | None
    state: OperationState
    message: str
    parameters: dict[str, Any]
    requested_by: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    attempt: int = Field(description="1 at first; one more each time it is resumed.")
    dry_run: bool = Field(description="It changes nothing, and tells what it would change.")
    retry_of: int | None = Field(description="The operation whose failed hosts this one works on.")
    halt: Halt | None = Field(description="What happens once the hosts under way are done, instead of further ones.")
    not_before: str | None = Field(description="When it goes on, while it is queued for that time.")
    hosts: OperationHostCounts

    @classmethod
    def of(cls, operation: Operation, counts: dict[str, int]) -> OperationShown:
        """Show a record."""
        return cls(
            id=operation.id or 0,
            kind=OperationKind(operation.kind),
            cluster=operation.cluster,
            state=OperationState(operation.state),
            message=operation.message,
            parameters=operation.parameters,
            requested_by=operation.requested_by,
            created_at=rfc3339(operation.created_at) or "",
            started_at=rfc3339(operation.started_at),
            finished_at=rfc3339(operation.finished_at),
            attempt=operation.attempt,
            dry_run=operation.dry_run,
            retry_of=operation.retry_of,
            halt=Halt(operation.halt) if operation.halt else None,
            not_before=rfc3339(operation.not_before),
            hosts=OperationHostCounts(total=sum(counts.values()), **counts),
        )


class OperationPage(BaseModel):
    """A page of operations, newest first; `next` is the `before` of the next page."""

    items: list[OperationShown]
    next: int | None


class OperationHostShown(BaseModel):
    """A host's way through an operation."""

    address: str
    state: OperationHostState
    phase: str
    started_at: str | None
    finished_at: str | None
    message: str
    data: dict[str, Any]

    @classmethod
    def of(cls, row: OperationHost) -> OperationHostShown:
        """Show a record."""
        return cls(
            address=row.address,
            state=OperationHostState(row.state),
            phase=row.phase,
            started_at=rfc3339(row.started_at),
            finished_at=rfc3339(row.finished_at),
            message=row.message,
            data=row.data,
        )


class OperationHostList(BaseModel):
    """All hosts of an operation, in their order."""

    items: list[OperationHostShown]


class EventShown(BaseModel):
    """A line of an operation's journal; `seq` grows over all operations."""

    seq: int
    time: str
    type: EventType
    host: str | None
    phase: str | None
    task: str | None
    message: str
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> EventShown:
        """Show a record."""
        return cls(
            seq=event.seq or 0,
            time=rfc3339(event.time) or "",
            type=EventType(event.type),
            host=event.host,
            phase=event.phase,
            task=event.task,
            message=event.message,
            data=event.data,
        )


class EventPage(BaseModel):
    """A page of events, oldest first; `next` is the `after` of the next page."""

    items: list[EventShown]
    next: int | None


class HostDetail(BaseModel):
    """A host with all that is known of it, but its secrets."""

    address: str
    status: HostStatus
    message: str
    cluster: str | None
    os: str
    os_version: str
    os_family: str
    kernel: str
    cpus: int
    memory_kb: int
    space_bytes: int
    remote_user: str
    labels: dict[str, str]
    source: str
    source_state: SourceState | None = Field(description="How it stands with its source; null when it has none.")
    source_seen_at: str | None = Field(description="When its source listed it last.")
    last_check: str | None
    next_check: str | None = Field(description="When the watcher looks at it next.")
    check_failures: int = Field(description="The watcher's failed checks since the last one that passed.")
    node_name: str = Field(description="How the cluster's container manager knows it; empty when it doesn't.")
    host_key: str | None

    @classmethod
    def of(cls, host: Host, cluster: str | None, source_state: SourceState | None) -> HostDetail:
        """Show a record."""
        return cls(
            address=host.address,
            status=HostStatus(host.status),
            message=host.message,
            cluster=cluster,
            os=host.os,
            os_version=host.os_version,
            os_family=host.os_family,
            kernel=host.kernel,
            cpus=host.cpus,
            memory_kb=host.memory_kb,
            space_bytes=host.space_bytes,
            remote_user=host.remote_user,
            labels=host.labels,
            source=host.source,
            source_state=source_state,
            source_seen_at=rfc3339(host.source_seen_at),
            last_check=rfc3339(host.last_check),
            next_check=rfc3339(host.next_check_at),
            check_failures=host.check_failures,
            node_name=host.node_name,
            host_key=host.host_key,
        )


class CordonShown(BaseModel):
    """For which run of ours a node is cordoned."""

    operation_id: str
    owner: str


class NodeShown(BaseModel):
    """A host's node, as the container manager tells of it now."""

    name: str
    ready: bool
    message: str = Field(description="Its kubelet's own words of whether it is Ready.")
    conditions: dict[str, str] = Field(description="`True`, `False` or `Unknown` of each.")
    unschedulable: bool = Field(description="Whether it is cordoned.")
    cordoned_by: CordonShown | None = Field(description="Null when it is not, or somebody else cordoned it.")
    kubelet_version: str
    container_runtime_version: str
    pods: list[str] = Field(description="`NAMESPACE/NAME` of each.")

    @classmethod
    def of(cls, status: dict[str, Any]) -> NodeShown:
        """Show what `managers.kubernetes.node_status` returns."""
        cordon = CordonShown.model_validate_json(status["cordoned_by"]) if status["cordoned_by"] else None
        return cls.model_validate({**status, "cordoned_by": cordon})


class NodeUncordoned(BaseModel):
    """What became of a host's node."""

    address: str
    node: str
    uncordoned: bool = Field(description="Whether it was cordoned until now.")


class HostPage(BaseModel):
    """A page of hosts by address; `next` is the `after` of the next page."""

    items: list[HostDetail]
    next: str | None
