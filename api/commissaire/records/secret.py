"""Secrets at rest: sealed values whose keys are wrapped by a master key outside the database."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class Secret(SQLModel, table=True):
    """One sealed value, bound to its owner and field; `commissaire.vault` seals and opens it."""

    owner: str = Field(primary_key=True, max_length=128)
    field: str = Field(primary_key=True, max_length=64)
    key_id: str = Field(max_length=64, index=True)
    wrapped_key: bytes
    sealed: bytes
