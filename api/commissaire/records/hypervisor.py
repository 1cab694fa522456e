"""Hypervisors: the machines that run virtual ones."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from commissaire.clock import now
from commissaire.records.columns import UtcDateTime


class Hypervisor(SQLModel, table=True):
    """A named hypervisor. Nothing is asked of one that is not `allowed`.

    `virt_type` is by what its new machines are run: `auto`, `kvm` or `qemu`; `probed_virt_type` what a guest that was
    started showed, "" as long as none was.
    """

    name: str = Field(primary_key=True, max_length=64)
    uri: str = Field(max_length=512)
    allowed: bool = True
    virt_type: str = Field(default="auto", max_length=16)
    probed_virt_type: str = Field(default="", max_length=16)
    pool: str = Field(default="default", max_length=255)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
