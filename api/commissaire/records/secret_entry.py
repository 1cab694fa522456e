"""What clients keep by `/api/v0/secrets` (CPD-101), and the keys by which they come in."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from commissaire.clock import now
from commissaire.records.columns import UtcDateTime


class ApiKey(SQLModel, table=True):
    """An API id, and the SHA-256 of its key: a random one, so that a slow hash would add nothing."""

    __tablename__ = "api_key"

    name: str = Field(primary_key=True, max_length=64)
    key_hash: bytes
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class SecretEntry(SQLModel, table=True):
    """A path in the tree of an API id: of a container, ending with `/`, or of a secret, whose value is a `Secret`."""

    __tablename__ = "secret_entry"
    __table_args__ = (UniqueConstraint("api_id", "path"),)

    id: int | None = Field(default=None, primary_key=True)
    api_id: str = Field(max_length=64)
    path: str = Field(max_length=1024)
