"""The bodies of REST v1. Unknown keys of a request are refused; times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from commissaire.clock import rfc3339
from commissaire.fleet.rolling import VERSION_PATTERN
from commissaire.fleet.sources import SourceState
from commissaire.records import (
    Event,
    EventType,
    Host,
    HostStatus,
    Operation,
    OperationHost,
    OperationHostState,
    OperationKind,
    OperationState,
)
from commissaire.routes.limits import MaxFailures, MaxUnavailable, WholeNumber
from commissaire.routes.text import Text


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RollingParameters(_Request):
    """The parameters of every rolling operation."""

    max_unavailable: MaxUnavailable = None
    max_failures: MaxFailures = None
    reboot_timeout_seconds: WholeNumber | None = Field(
        None, ge=1, le=86400, description="How long a host may stay away. Default 600."
    )


class UpgradeParameters(RollingParameters):
    """The parameters of an upgrade."""

    reboot: Literal["when_needed", "always", "never"] | None = Field(
        None, description="Whether hosts reboot after it. Default `when_needed`."
    )


class DeployParameters(RollingParameters):
    """The parameters of a deploy."""

    version: StrictStr = Field(
        pattern=VERSION_PATTERN, description="The version, checksum or ref of the OSTree deployment to boot."
    )


class RestartWanted(_Request):
    """POST of a restart."""

    kind: Literal[OperationKind.RESTART]
    cluster: Text
    parameters: RollingParameters = Field(default_factory=RollingParameters)


class UpgradeWanted(_Request):
    """POST of an upgrade."""

    kind: Literal[OperationKind.UPGRADE]
    cluster: Text
    parameters: UpgradeParameters = Field(default_factory=UpgradeParameters)


class DeployWanted(_Request):
    """POST of a deploy."""

    kind: Literal[OperationKind.DEPLOY]
    cluster: Text
    parameters: DeployParameters


OperationWanted = Annotated[RestartWanted | UpgradeWanted | DeployWanted, Field(discriminator="kind")]
"""POST of an operation."""


class HostKeyWanted(_Request):
    """PUT of a host's pinned key; null forgets it, and the next key that the host shows is pinned."""

    host_key: StrictStr | None


class OperationHostCounts(BaseModel):
    """How many hosts of an operation are in which state."""

    total: int
    pending: int = 0
    running: int = 0
    finished: int = 0
    failed: int = 0
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
    source: str
    source_state: SourceState | None = Field(description="How it stands with its source; null when it has none.")
    source_seen_at: str | None = Field(description="When its source listed it last.")
    last_check: str | None
    next_check: str | None = Field(description="When the watcher looks at it next.")
    check_failures: int = Field(description="The watcher's failed checks since the last one that passed.")
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
            source=host.source,
            source_state=source_state,
            source_seen_at=rfc3339(host.source_seen_at),
            last_check=rfc3339(host.last_check),
            next_check=rfc3339(host.next_check_at),
            check_failures=host.check_failures,
            host_key=host.host_key,
        )


class HostPage(BaseModel):
    """A page of hosts by address; `next` is the `after` of the next page."""

    items: list[HostDetail]
    next: str | None
