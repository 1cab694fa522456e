"""Records as a service sees them: what REST answers and notifications tell, with types. Times are RFC 3339."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass
class Record:
    """What all of them can do."""

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Read a record from JSON; what this version doesn't know is left out."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in document.items() if name in known})


@dataclass
class Host(Record):
    """A host. `ssh_priv_key` (base64) is sent with a new one and never read back."""

    address: str
    cluster: str | None = None
    remote_user: str = "root"
    source: str = ""
    ssh_priv_key: str | None = field(default=None, repr=False)
    status: str = ""
    message: str = ""
    os: str = ""
    os_version: str = ""
    os_family: str = ""
    kernel: str = ""
    cpus: int = 0
    memory_kb: int = 0
    space_bytes: int = 0
    last_check: str | None = None


@dataclass
class Cluster(Record):
    """A cluster. A notification doesn't tell `status` and `hostset`: they follow from the hosts.

    It remembers the members that were read, in `members_read`: to them its present ones are compared when it is saved.
    """

    name: str
    network: str = "default"
    container_manager: str | None = None
    status: str | None = None
    hostset: list[str] | None = None

    def __post_init__(self) -> None:
        self.members_read: list[str] | None = None  # no field: it is part of no document

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """See `Record.of`."""
        cluster = super().of(document)
        cluster.members_read = None if cluster.hostset is None else list(cluster.hostset)
        return cluster


@dataclass
class Network(Record):
    """A network."""

    name: str
    type: str = "flannel_etcd"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class ContainerManager(Record):
    """A container manager. A notification doesn't tell `options`."""

    name: str
    type: str = "openshift"
    options: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass
class Operation(Record):
    """An operation; only told, not asked for."""

    id: int
    kind: str
    cluster: str | None
    state: str
    message: str
    requested_by: str
    attempt: int
    created_at: str
    started_at: str | None
    finished_at: str | None


@dataclass
class OperationHost(Record):
    """How far a host is in an operation; only told, not asked for."""

    operation_id: int
    address: str
    state: str
    phase: str
    message: str
    started_at: str | None
    finished_at: str | None


MODELS: dict[str, type[Record]] = {
    model.__name__: model for model in (Host, Cluster, Network, ContainerManager, Operation, OperationHost)
}
