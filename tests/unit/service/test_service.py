"""A service on kombu's memory transport."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kombu import Connection, Exchange, Producer
from structlog.testing import capture_logs

from commissaire.service import (
    ANY,
    CREATED,
    BusClient,
    Cluster,
    Host,
    NoAnswer,
    RemoteError,
    Service,
    ServiceSettings,
    StorageError,
)
from unit.waiting import until


class Example(Service):
    name = "example"

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.heard: list[tuple[str, Any]] = []
        self.storage.register_callback(self.host_created, Host, CREATED)
        self.storage.register_callback(self.anything, None, ANY)

    def host_created(self, event: str, host: Host, message: Any) -> None:
        self.heard.append((event, host.address))
        if host.address == "bad":
            raise ValueError("a callback's mistake")

    def anything(self, event: str, record: Any, message: Any) -> None:
        self.heard.append((event, type(record)))

    def on_ping(self, message: Any) -> str:
        return "pong"

    def on_echo(self, message: Any, words: str) -> str:
        assert message.payload["params"] in ({"words": words}, [words])
        return words

    def on_fail(self, message: Any) -> None:
        raise NotImplementedError("I was never created")

    def on_host(self, message: Any) -> Host:
        return Host("10.0.0.1")

    def on_storage(self, message: Any) -> None:
        self.storage.get(Cluster, "web")


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(bus_uri="memory://", bus_exchange=uuid.uuid4().hex)


@contextmanager
def running(service: Service) -> Iterator[None]:
    thread = threading.Thread(target=service.run)
    with capture_logs() as logs:
        thread.start()
        until(lambda: any(entry["event"] == "serving" for entry in logs))
    try:
        yield
    finally:
        service.stop()
        thread.join(10)
        service.delete_queues()
        assert not thread.is_alive()


def notify(settings: ServiceSettings, *notifications: tuple[str, str, dict[str, Any]]) -> None:
    with Connection(settings.bus_uri) as connection:
        producer = Producer(connection, exchange=Exchange(settings.bus_exchange, type="topic"))
        for model, event, record in notifications:
            key = f"notify.storage.{model}.{event}"
            body = {"jsonrpc": "2.0", "method": key, "params": {"event": event, "model": model, "record": record}}
            producer.publish(body, routing_key=key)


def test_methods_answer_and_fail_across_the_bus(settings: ServiceSettings) -> None:
    with running(Example(settings)), BusClient.of(settings) as bus:
        assert bus.call("example.ping") == "pong"
        assert bus.call("example.echo", words="hello") == bus.call("example.echo", "hello") == "hello"
        with pytest.raises(RemoteError, match="I was never created") as caught:
            bus.call("example.fail")
        assert (caught.value.code, caught.value.data) == (-32000, {"exception": "NotImplementedError"})
        with pytest.raises(RemoteError, match="there is no method nothing"):
            bus.call("example.nothing")
        assert bus.call("example.ping") == "pong"


def test_a_result_that_is_no_json_is_an_error_to_its_caller_and_the_service_goes_on(settings: ServiceSettings) -> None:
    with running(Example(settings)), BusClient.of(settings) as bus, capture_logs() as logs:
        with pytest.raises(RemoteError, match="Host is not JSON serializable") as caught:
            bus.call("example.host")
        assert (caught.value.code, caught.value.data) == (-32000, {"exception": "EncodeError"})
        assert bus.call("example.ping") == "pong"
    assert [(entry["event"], entry["method"]) for entry in logs if entry["log_level"] == "error"] == [
        ("method_failed", "host")
    ]


@pytest.mark.parametrize("method", ["connection_error", "consume_ready", "iteration", "decode_error"])
def test_what_kombu_calls_can_not_be_called_from_outside(settings: ServiceSettings, method: str) -> None:
    with running(Example(settings)), BusClient.of(settings) as bus, pytest.raises(RemoteError, match="no method"):
        bus.call(f"example.{method}")


def test_a_call_that_nobody_answers_ends(settings: ServiceSettings) -> None:
    with (
        BusClient.of(settings) as bus,
        pytest.raises(NoAnswer, match=r"nobody.ping had no answer on memory:// in 0.1 s"),
    ):
        bus.call("nobody.ping", timeout_seconds=0.1)


def test_callbacks_are_called_by_model_and_event(settings: ServiceSettings) -> None:
    service = Example(settings)
    with running(service):
        notify(settings, ("Host", "created", {"address": "h1"}), ("Host", "deleted", {"address": "h1", "new": 1}))
        notify(settings, ("Unknown", "created", {}), ("Cluster", "created", {"name": "web"}))
        until(lambda: len(service.heard) == 4)
    assert service.heard == [("created", "h1"), ("created", Host), ("deleted", Host), ("created", Cluster)]


def test_a_callback_that_fails_is_logged_and_the_service_goes_on(settings: ServiceSettings) -> None:
    service = Example(settings)
    with running(service), capture_logs() as logs:
        notify(settings, ("Host", "created", {"address": "bad"}), ("Host", "created", {}))
        notify(settings, ("Host", "created", {"address": "good"}))
        until(lambda: ("created", "good") in service.heard)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["callback_failed"] * 3


def test_a_service_without_an_endpoint_says_so_when_it_asks_for_records(settings: ServiceSettings) -> None:
    with running(Example(settings)), BusClient.of(settings) as bus, pytest.raises(RemoteError) as caught:
        bus.call("example.storage")
    assert "no server to ask: set endpoint, username and password" in str(caught.value)
    assert caught.value.data == {"exception": StorageError.__name__}


def test_a_service_that_waits_for_its_broker_can_be_stopped() -> None:
    service = Example(ServiceSettings(bus_uri="redis://:CANARY@127.0.0.1:1/"))
    with capture_logs() as logs:
        thread = threading.Thread(target=service.run)
        thread.start()
        until(lambda: any(entry["event"] == "bus_lost" for entry in logs))
        service.stop()
        thread.join(5)
    assert not thread.is_alive()
    assert "CANARY" not in json.dumps(logs)
