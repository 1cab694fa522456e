"""What is told of a change: a JSON-RPC 2.0 notification under the routing key `notify.storage.<Model>.<event>`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from commissaire.clock import rfc3339
from commissaire.records import Cluster, ContainerManager, Host, Network, Operation, OperationHost

PUBLIC: dict[type, tuple[str, ...]] = {
    Host: (
        "address", "status", "message", "cluster_id", "os", "os_version", "os_family", "kernel", "cpus", "memory_kb",
        "space_bytes", "remote_user", "source", "last_check",
    ),
    Cluster: ("name", "network", "container_manager"),
    Network: ("name", "type", "options"),
    ContainerManager: ("name", "type"),
    Operation: (
        "id", "kind", "cluster", "state", "message", "requested_by", "attempt", "created_at", "started_at",
        "finished_at",
    ),
    OperationHost: ("operation_id", "address", "state", "phase", "message", "started_at", "finished_at"),
}  # fmt: skip
"""The fields of each kind of record that leave the server; what isn't listed stays. `cluster_id` goes as its name."""


class ChangeEvent(StrEnum):
    """What happened to a record."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True)
class Notification:
    """A message for the bus; `body` is JSON."""

    routing_key: str
    body: bytes

    @classmethod
    def of(cls, model: type, event: ChangeEvent, record: Mapping[str, Any]) -> Notification:
        """Tell of *event* on a record of *model*; times are written as RFC 3339."""
        shown = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in record.items()}
        routing_key = f"notify.storage.{model.__name__}.{event}"
        params = {"event": event, "model": model.__name__, "record": shown}
        return cls(routing_key, orjson.dumps({"jsonrpc": "2.0", "method": routing_key, "params": params}))
