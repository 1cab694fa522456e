"""Notifications on a real Redis, which is frozen, killed and started again under the application."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Queue
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from commissaire.app import create_app
from commissaire.auth.httpbasicauth import hash_password
from commissaire.settings import Settings
from integration.redis_server import RedisServer

pytestmark = pytest.mark.integration
USERS = {"admin": {"hash": hash_password("secret", rounds=4)}}
KEY = "Q0FOQVJZ"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    broker = RedisServer(tmp_path).start()
    yield broker
    broker.kill()


@pytest.fixture
def client(broker: RedisServer, tmp_path: Path) -> Iterator[TestClient]:
    plugin = {"name": "httpbasicauth", "users": USERS}
    settings = Settings(data_dir=tmp_path, workers=0, authentication_plugins=[plugin], bus_uri=broker.uri)
    with TestClient(create_app(settings)) as client:
        client.auth = ("admin", "secret")
        yield client


class Listener:
    """Takes what comes on the exchange."""

    def __init__(self, connection: Connection) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._connection = connection

    def take(self, body: dict[str, Any], message: Any) -> None:
        assert message.delivery_info["routing_key"] == body["method"]
        self.bodies.append(body)
        message.ack()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.bodies
            try:
                self._connection.drain_events(timeout=0.2)
            except TimeoutError:
                continue

    @property
    def told(self) -> list[str]:
        return [body["method"].removeprefix("notify.storage.") for body in self.bodies]


@contextmanager
def listening(uri: str, pattern: str = "notify.storage.#") -> Iterator[Listener]:
    with Connection(uri) as connection:
        listener = Listener(connection)
        queue = Queue("listener", Exchange("commissaire", type="topic"), routing_key=pattern)
        with Consumer(connection, [queue], callbacks=[listener.take]):
            yield listener


def metric(client: TestClient, outcome: str) -> float:
    text = client.get("/metrics").text
    (line,) = (
        line
        for line in text.splitlines()
        if line.startswith(f'commissaire_bus_notifications_total{{outcome="{outcome}"')
    )
    return float(line.split()[1])


def test_what_is_done_by_rest_is_told(client: TestClient, broker: RedisServer) -> None:
    with listening(broker.uri) as listener:
        assert client.put("/api/v0/cluster/web", json={}).status_code == 201
        body = {"cluster": "web", "ssh_priv_key": KEY}
        assert client.put("/api/v0/host/127.0.0.2", json=body).status_code == 201
        assert client.put("/api/v0/cluster/web/restart", json={}).status_code == 201
        assert client.delete("/api/v0/host/127.0.0.2").status_code == 200
        manager = {"type": "kubernetes", "options": {"server_url": "https://127.0.0.1:1", "token": KEY}}
        assert client.put("/api/v0/containermanager/k8s", json=manager).status_code == 201
        listener.until(lambda: "ContainerManager.created" in listener.told)
    assert listener.told == [
        "Cluster.created", "Host.created", "Operation.created", "OperationHost.created",
        "Operation.created", "OperationHost.created", "Host.deleted",
        "ContainerManager.created",
    ]  # fmt: skip
    assert listener.bodies[1]["params"]["record"].items() >= {"address": "127.0.0.2", "cluster": "web"}.items()
    assert KEY not in json.dumps(listener.bodies)
    assert metric(client, "published") == 8


def test_a_subscriber_gets_only_what_it_asked_for(client: TestClient, broker: RedisServer) -> None:
    with listening(broker.uri, "notify.storage.*.deleted") as listener:
        client.put("/api/v0/cluster/web", json={})
        client.delete("/api/v0/cluster/web")
        listener.until(lambda: bool(listener.bodies))
    assert listener.told == ["Cluster.deleted"]


def test_a_frozen_broker_slows_nobody_and_gets_all_when_it_goes_on(client: TestClient, broker: RedisServer) -> None:
    with listening(broker.uri) as listener:
        client.put("/api/v0/cluster/before", json={})
        listener.until(lambda: len(listener.bodies) == 1)
        broker.freeze()
        begun = time.monotonic()
        for number in range(20):
            assert client.put(f"/api/v0/cluster/c{number}", json={}).status_code == 201
        assert time.monotonic() - begun < 3
        time.sleep(6)  # longer than an answer may take: the connection is given up, and made again
        broker.thaw()
        names = {f"c{number}" for number in range(20)}
        listener.until(lambda: names <= {body["params"]["record"]["name"] for body in listener.bodies})


def test_a_killed_broker_slows_nobody_and_gets_what_waited_when_it_is_back(
    client: TestClient, broker: RedisServer
) -> None:
    with capture_logs() as logs:
        client.put("/api/v0/cluster/before", json={})
        broker.kill()
        begun = time.monotonic()
        for number in range(20):
            assert client.put(f"/api/v0/cluster/c{number}", json={}).status_code == 201
        assert time.monotonic() - begun < 3
        assert client.get("/readyz").status_code == 200
        while not any(entry["event"] == "bus_lost" for entry in logs):
            assert time.monotonic() - begun < 20
            time.sleep(0.05)
        broker.start()
        while not any(entry["event"] == "bus_back" for entry in logs):
            assert time.monotonic() - begun < 40
            time.sleep(0.05)
    assert [entry["event"] for entry in logs if "bus" in entry["event"]] == ["bus_lost", "bus_back"]
    assert "CANARY" not in repr(logs)
    with listening(broker.uri) as listener:
        client.put("/api/v0/cluster/after", json={})
        listener.until(lambda: "after" in {body["params"]["record"]["name"] for body in listener.bodies})
    assert metric(client, "dropped") == 0


def test_a_server_whose_broker_never_was_there_starts_and_stops(tmp_path: Path) -> None:
    plugin = {"name": "httpbasicauth", "users": USERS}
    uri = "redis://127.0.0.1:1/"
    settings = Settings(data_dir=tmp_path, workers=0, authentication_plugins=[plugin], bus_uri=uri)
    begun = time.monotonic()
    with TestClient(create_app(settings)) as client:
        assert client.put("/api/v0/cluster/web", auth=("admin", "secret"), json={}).status_code == 201
    assert time.monotonic() - begun < 10
