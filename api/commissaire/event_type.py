"""The types of events. By itself, because a supervisor needs it and starts faster without the records."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What an event tells."""

    OPERATION = "operation"  # the operation changed its state
    CHECKPOINT = "checkpoint"  # a host reached a phase
    TASK = "task"  # a task changed something on a host
    FAILED = "failed"  # a task failed on a host
    UNREACHABLE = "unreachable"  # a host could not be reached
    WARNING = "warning"  # Ansible said something that belongs to no task
