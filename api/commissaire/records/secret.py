"""Secrets at rest: where a value lies, or the sealed value itself, whose key is wrapped by a master key elsewhere."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class Secret(SQLModel, table=True):
    """One value, bound to its owner and field; `commissaire.secrets` seals and opens it."""

    owner: str = Field(primary_key=True, max_length=128)
    field: str = Field(primary_key=True, max_length=64)
    backend: str = Field(default="embedded", max_length=32, sa_column_kwargs={"server_default": "embedded"})
    key_id: str = Field(default="", max_length=64, index=True)
    """The master key that wrapped `wrapped_key`; empty at other backends, as that is."""
    wrapped_key: bytes = b""
    sealed: bytes = b""
    """The sealed value, or by what name another backend has it."""
