"""The publisher on kombu's memory transport, and on addresses where nobody answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue
from prometheus_client import CollectorRegistry, Counter
from structlog.testing import capture_logs

from commissaire.bus import publisher as module
from commissaire.bus.notification import Notification
from commissaire.bus.publisher import Publisher
from commissaire.bus.uri import shown
from commissaire.configuration import SettingsError
from unit.waiting import until

NOBODY = "redis://:CANARY@127.0.0.1:1/"


@pytest.fixture
def outcomes() -> Counter:
    return Counter("notifications", "", ("outcome",), registry=CollectorRegistry())


def number(outcomes: Counter, outcome: str) -> float:
    return outcomes.labels(outcome)._value.get()


def notifications(*names: str) -> list[Notification]:
    return [Notification(f"notify.storage.Host.{name}", json.dumps(name).encode()) for name in names]


@pytest.fixture
def exchange() -> str:
    """An exchange of the test's own: the memory transport has one state for the whole process."""
    return uuid.uuid4().hex


def test_notifications_are_published_in_order_by_their_routing_key(exchange: str, outcomes: Counter) -> None:
    with Connection("memory://") as connection:
        queue = Queue(exchange, Exchange(exchange, type="topic"), routing_key="notify.storage.Host.#")
        queue(connection.default_channel).declare()
        publisher = Publisher("memory://", exchange, outcomes)
        with publisher.running():
            publisher.send(notifications("one", "two"))
            publisher.send([Notification("notify.storage.Cluster.created", b"{}"), *notifications("three")])
        bound = queue(connection.default_channel)
        found = [bound.get(no_ack=True) for _ in range(4)]
    assert [message and (message.payload, message.delivery_info["routing_key"]) for message in found] == [
        ("one", "notify.storage.Host.one"),
        ("two", "notify.storage.Host.two"),
        ("three", "notify.storage.Host.three"),
        None,
    ]
    assert (number(outcomes, "published"), number(outcomes, "dropped")) == (4, 0)


def test_a_dead_broker_costs_nobody_time_and_the_newest_notifications_wait(exchange: str, outcomes: Counter) -> None:
    publisher = Publisher(NOBODY, exchange, outcomes, limit=100)
    with capture_logs() as logs, publisher.running():
        until(lambda: [entry for entry in logs if entry["event"] == "bus_lost"] != [])
        begun = time.monotonic()
        for _ in range(1000):
            publisher.send(notifications("x"))
        assert time.monotonic() - begun < 1
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 4
    assert (number(outcomes, "published"), number(outcomes, "dropped")) == (0, 1000)
    assert [entry["event"] for entry in logs] == ["bus_lost", "notifications_dropped"]
    assert "127.0.0.1:1" in logs[0]["bus"]
    assert "CANARY" not in repr(logs)


def test_after_an_outage_the_rest_is_published_and_the_loss_is_told(
    exchange: str, outcomes: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_DELAY_SECONDS", 0.01)
    broken = threading.Event()
    broken.set()
    publish = module.Producer.publish

    def publish_or_fail(self: object, *args: object, **kwargs: object) -> object:
        if broken.is_set():
            raise ConnectionResetError("gone")
        return publish(self, *args, **kwargs)

    monkeypatch.setattr(module.Producer, "publish", publish_or_fail)
    with Connection("memory://") as connection:
        queue = Queue(exchange, Exchange(exchange, type="topic"), routing_key="#")(connection.default_channel)
        queue.declare()
        publisher = Publisher("memory://", exchange, outcomes, limit=2)
        with capture_logs() as logs, publisher.running():
            publisher.send(notifications("in hand"))
            until(lambda: bool(logs))
            publisher.send(notifications("lost", "kept", "last"))
            broken.clear()
            until(lambda: number(outcomes, "published") == 3)
        assert [queue.get(no_ack=True).payload for _ in range(3)] == ["in hand", "kept", "last"]
    assert [entry["event"] for entry in logs] == ["bus_lost", "notifications_dropped", "bus_back"]
    assert logs[2]["dropped"] == number(outcomes, "dropped") == 1


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("carrier://:CANARY@pigeon/", "bus_uri carrier://pigeon: kombu has no such transport"),
        ("redis://:CAN/ARY@h/", "bus_uri redis://h can't be read; write special characters of a password as %XX"),
    ],
)
def test_a_uri_that_can_not_be_used_is_told_without_its_password(uri: str, message: str, outcomes: Counter) -> None:
    with pytest.raises(SettingsError) as caught:
        Publisher(uri, "x", outcomes)
    assert message in str(caught.value)
    assert "CAN" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("redis://127.0.0.1:6379/", "redis://127.0.0.1:6379"),
        ("redis://u:p@h:1/0?password=p", "redis://h:1"),
        ("amqp://u:p%40@h//;amqps://u:p@i:5/v", "amqp://h;amqps://i:5"),
        ("redis://:a@b@h/", "redis://h"),
        ("memory://", "memory://"),
    ],
)
def test_a_uri_is_shown_without_user_and_password(uri: str, expected: str) -> None:
    assert shown(uri) == expected


def test_nothing_of_kombu_is_imported_without_a_bus(tmp_path: Path) -> None:
    program = (
        "import sys; from commissaire.app import create_app; from commissaire.settings import Settings;"
        "from commissaire.auth.administrator import create; from pathlib import Path;"
        f"create(Path({str(tmp_path)!r}) / 'users.json');"
        f"app = create_app(Settings(data_dir={str(tmp_path)!r}, bus_uri=sys.argv[1] if sys.argv[1:] else None));"
        "print('kombu' in sys.modules, app.state.publisher is None)"
    )
    for arguments, said in (([], "False True"), (["memory://"], "True False")):
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=dict(os.environ))
        assert done.stdout.strip() == said
