"""A database whose committed changes are kept in a list instead of going to a broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlmodel import SQLModel

from commissaire.bus.notification import Notification
from commissaire.bus.outbox import watch
from commissaire.database import Database
from commissaire.records import Network


class Told(list[Notification]):
    """Notifications, and what they say."""

    @property
    def keys(self) -> list[str]:
        return [notification.routing_key.removeprefix("notify.storage.") for notification in self]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [orjson.loads(notification.body)["params"]["record"] for notification in self]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    SQLModel.metadata.create_all(database.engine)
    with database.write() as session:
        session.add(Network(name="default"))
    yield database
    database.close()


@pytest.fixture
def told(database: Database) -> Told:
    told = Told()
    watch(database.sessions, told.extend)
    return told
