"""Operations: what was asked for, how far it is, and how it went for each host."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from commissaire.clock import now
from commissaire.records.columns import JsonObject, UtcDateTime


class OperationKind(StrEnum):
    """The kinds of work that can be asked for."""

    BOOTSTRAP = "bootstrap"  # investigate hosts and make them manageable
    RESTART = "restart"  # restart the hosts of a cluster, a window of them at a time
    UPGRADE = "upgrade"  # upgrade their packages or their OSTree deployment
    DEPLOY = "deploy"  # boot a given version of their OSTree
    KUBELET_UPGRADE = "kubelet_upgrade"  # upgrade the kubelets of nodes, by one minor version after the other
    NODE_LEAVE = "node_leave"  # take nodes out of their container manager
    LEASE_SHOW = "lease_show"  # ask hosts who works on them
    LEASE_BREAK = "lease_break"  # take a host away from who will not come back
    VM_CREATE = "vm_create"  # create virtual machines, and make hosts of them
    VM_REMOVE = "vm_remove"  # remove virtual machines with their disks
    VM_NETWORK_CREATE = "vm_network_create"  # make a network of virtual machines on a hypervisor
    VM_NETWORK_REMOVE = "vm_network_remove"  # remove one
    GUEST_INFO = "guest_info"  # ask a virtual machine's guest agent what it is like inside
    GUEST_FILE = "guest_file"  # write a file in a virtual machine, or fetch one
    GUEST_PASSWORD = "guest_password"  # noqa: S105  give a user of it a password
    GUEST_NETWORK = "guest_network"  # give it a name and addresses
    GUEST_COMMAND = "guest_command"  # run a command in it
    GUEST_AGENT_UPDATE = "guest_agent_update"  # have its guest agent replace itself
    GUEST_AGENT = "guest_agent"  # install our guest agent in it
    VM_PROBE = "vm_probe"  # see by what a hypervisor runs virtual machines


class OperationState(StrEnum):
    """The way of an operation: queued, running, perhaps paused and queued again, then one of the last three."""

    QUEUED = "queued"  # recorded, waiting for a worker (again, after an interruption), or for `not_before`
    RUNNING = "running"  # a worker owns it and says so by its heartbeat
    PAUSED = "paused"  # no host is worked on until somebody resumes it
    FINISHED = "finished"  # every host came through
    FAILED = "failed"  # a host failed, or the operation itself could not be carried out
    CANCELLED = "cancelled"  # somebody stopped it


class OperationHostState(StrEnum):
    """The way of one host through an operation."""

    PENDING = "pending"  # its turn has not come
    RUNNING = "running"  # work on it is under way
    FINISHED = "finished"  # done
    FAILED = "failed"  # `message` says in which phase and why
    SKIPPED = "skipped"  # `message` says why it was not fit for the work; it was not touched
    NOT_STARTED = "not_started"  # the operation ended before its turn; it was not touched
    CANCELLED = "cancelled"  # work on it was under way when the operation was cancelled


class Halt(StrEnum):
    """What is to happen once the hosts under way are done, instead of starting further ones."""

    PAUSE = "pause"
    STOP = "stop"


OF_NODES = (OperationKind.KUBELET_UPGRADE, OperationKind.NODE_LEAVE)
"""The kinds for hosts that are nodes of a container manager, and for no others."""

OF_MACHINES = (
    OperationKind.VM_CREATE,
    OperationKind.VM_REMOVE,
    OperationKind.VM_NETWORK_CREATE,
    OperationKind.VM_NETWORK_REMOVE,
    OperationKind.VM_PROBE,
)
"""The kinds that work on hypervisors: their rows are named after machines or hypervisors, not after hosts."""

OF_GUESTS = (
    OperationKind.GUEST_INFO,
    OperationKind.GUEST_FILE,
    OperationKind.GUEST_PASSWORD,
    OperationKind.GUEST_NETWORK,
    OperationKind.GUEST_COMMAND,
    OperationKind.GUEST_AGENT_UPDATE,
    OperationKind.GUEST_AGENT,
)
"""The kinds that reach into virtual machines: what they are given and what they answer is sealed, not in their rows."""

ROLLING = (OperationKind.RESTART, OperationKind.UPGRADE, OperationKind.DEPLOY, *OF_NODES)
"""The kinds that go from host to host within limits; only they can be held back, and take leases."""

TERMINAL = (OperationState.FINISHED, OperationState.FAILED, OperationState.CANCELLED)
"""States an operation never leaves."""


class Operation(SQLModel, table=True):
    """One piece of work on hosts. `exclusive_key` is unique while it is active: one operation a cluster at a time.

    `kills` is how often its playbook was killed while `done_at_kill` hosts were done, and no further one.
    """

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=32, index=True)
    cluster: str | None = Field(default=None, max_length=64, index=True)
    state: str = Field(default=OperationState.QUEUED, max_length=16, index=True)
    message: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict, sa_type=JsonObject)
    requested_by: str = ""
    request_id: str = ""
    exclusive_key: str | None = Field(default=None, unique=True, max_length=128)
    attempt: int = 0
    owner: str | None = Field(default=None, max_length=64)
    heartbeat_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    dry_run: bool = False
    retry_of: int | None = None
    kills: int = 0
    done_at_kill: int = 0
    cancel_requested_by: str | None = None
    halt: str | None = Field(default=None, max_length=8)
    halt_reason: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OperationHost(SQLModel, table=True):
    """One host's way through an operation. `updated_by_event` is the newest event that changed it."""

    __tablename__ = "operation_host"

    operation_id: int = Field(primary_key=True, foreign_key="operation.id", ondelete="CASCADE")
    address: str = Field(primary_key=True, max_length=253, index=True)
    position: int = 0
    state: str = Field(default=OperationHostState.PENDING, max_length=16)
    phase: str = Field(default="", max_length=64)
    message: str = ""
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JsonObject)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    updated_by_event: int = Field(default=0, sa_type=BigInteger)
