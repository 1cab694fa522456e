"""The records of the fleet (SQLModel). One noun a file; `commissaire.migrations` makes their tables."""

from commissaire.records.audit import AuditEntry
from commissaire.records.cluster import Cluster, ClusterStatus
from commissaire.records.container_manager import ContainerManager, ContainerManagerType
from commissaire.records.event import Event, EventType
from commissaire.records.host import BEING_BOOTSTRAPPED, READY, Host, HostStatus
from commissaire.records.hypervisor import Hypervisor
from commissaire.records.idempotency_key import IdempotencyKey
from commissaire.records.network import DEFAULT_NETWORK, Network, NetworkType
from commissaire.records.operation import (
    OF_GUESTS,
    OF_MACHINES,
    OF_NODES,
    ROLLING,
    TERMINAL,
    Halt,
    Operation,
    OperationHost,
    OperationHostState,
    OperationKind,
    OperationState,
)
from commissaire.records.schedule import Schedule, ScheduleOutcome
from commissaire.records.secret import Secret
from commissaire.records.secret_entry import ApiKey, SecretEntry
from commissaire.records.source import Source

__all__ = [
    "BEING_BOOTSTRAPPED",
    "DEFAULT_NETWORK",
    "OF_GUESTS",
    "OF_MACHINES",
    "OF_NODES",
    "READY",
    "ROLLING",
    "TERMINAL",
    "ApiKey",
    "AuditEntry",
    "Cluster",
    "ClusterStatus",
    "ContainerManager",
    "ContainerManagerType",
    "Event",
    "EventType",
    "Halt",
    "Host",
    "HostStatus",
    "Hypervisor",
    "IdempotencyKey",
    "Network",
    "NetworkType",
    "Operation",
    "OperationHost",
    "OperationHostState",
    "OperationKind",
    "OperationState",
    "Schedule",
    "ScheduleOutcome",
    "Secret",
    "SecretEntry",
    "Source",
]
