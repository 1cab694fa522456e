"""Calling the methods of services on the bus."""

from __future__ import annotations

import time
import uuid
from typing import Any, Self

from kombu import Consumer, Exchange, Producer, Queue

from commissaire.bus.uri import connection_to, shown
from commissaire.service import rpc
from commissaire.service.settings import ServiceSettings


class NoAnswer(Exception):
    """Nobody answered in time, or the bus can't be reached."""


class RemoteError(Exception):
    """The service answered with an error: `code` and `data` are JSON-RPC's, the text is its message."""

    def __init__(self, code: int, message: str, data: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class BusClient:
    """Calls methods; not for use from several threads. Close it, or use it as a context manager."""

    def __init__(self, bus_uri: str, bus_exchange: str = "commissaire") -> None:
        self._connection = connection_to(bus_uri)
        self._exchange = Exchange(bus_exchange, type="topic", durable=True)
        self._shown = shown(bus_uri)

    @classmethod
    def of(cls, settings: ServiceSettings) -> Self:
        """Return a client on the bus of a service."""
        return cls(settings.bus_uri, settings.bus_exchange)

    def call(self, method: str, *args: Any, timeout_seconds: float = 30, **params: Any) -> Any:
        """Call *method* (`SERVICE.METHOD`) with *args* or *params*; return its result.

        Raises:
            RemoteError: the service answered with an error.
            NoAnswer: no service answered within the time, or the bus can't be reached.
        """
        if args and params:
            raise ValueError("JSON-RPC knows arguments by position or by name, not both in one call")
        request_id = uuid.uuid4().hex
        body = rpc.request(method.partition(".")[2], list(args) or params, request_id)
        try:
            answer = self._ask(method, body, request_id, timeout_seconds)
        except self._connection.connection_errors as error:
            self._connection.collect()  # the next call makes a new one
            raise NoAnswer(f"can't call {method} on {self._shown}: {error}") from error
        if "error" in answer:
            failure = answer["error"]
            raise RemoteError(failure["code"], failure["message"], failure.get("data", {}))
        return answer["result"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, body: dict[str, Any], request_id: str, timeout_seconds: float) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []
        queue = Queue(f"answer.{request_id}", exclusive=True, auto_delete=True)
        deadline = time.monotonic() + timeout_seconds
        take = [lambda answer, _: answers.append(answer)]
        with Consumer(self._connection, [queue], callbacks=take, no_ack=True, accept=["json"]):
            producer = Producer(self._connection, exchange=self._exchange)
            producer.publish(
                body, routing_key=method, reply_to=queue.name, correlation_id=request_id, declare=[self._exchange]
            )
            while not answers:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise NoAnswer(f"{method} had no answer on {self._shown} in {timeout_seconds:g} s; does it run?")
                try:
                    self._connection.drain_events(timeout=left)
                except TimeoutError:
                    continue
        return answers[0]
