"""A service: takes calls of its methods, and notifications, from the bus, one at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import structlog
from kombu import Connection, Exchange, Producer, Queue, binding
from kombu.exceptions import EncodeError
from kombu.mixins import ConsumerMixin

from commissaire import logs
from commissaire.bus.uri import connection_to, shown
from commissaire.configuration import SettingsError
from commissaire.service import rpc
from commissaire.service.processes import run_processes
from commissaire.service.settings import ServiceSettings, load, parse
from commissaire.service.storage import StorageClient

log = structlog.get_logger(__name__)


class Service(ConsumerMixin):  # type: ignore[misc]  # kombu has no types
    """Subclass it, set `name`, define `on_METHOD(self, message, …)`, and register callbacks at `self.storage`.

    `message` is kombu's message. What a method returns, or raises, is sent to the caller. All processes with the same
    name share the calls and notifications: each goes to one of them, and once more if that one dies before it is done.
    """

    name: ClassVar[str]

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.storage = StorageClient(settings)
        self.connection = connection_to(settings.bus_uri)
        self._exchange = Exchange(settings.bus_exchange, type="topic", durable=True)
        self._lost = False

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> None:
        """Run the service as its configuration and command line say; on a mistake there say which, and exit with 2."""
        options = parse(cls.name, cls.__doc__ or "", arguments)
        try:
            settings = load(cls.name, options, os.environ)
            if options.delete_queues:
                cls(settings).delete_queues()
            else:
                _check(settings)
                run_processes(_run, (cls, settings), settings.processes)
        except SettingsError as error:
            print(f"{cls.name}: {error}", file=sys.stderr)  # noqa: T201  said to whoever started it
            sys.exit(2)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; what is being done is finished first."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop())
        try:
            super().run()
        except _Stopped:
            pass
        finally:
            self.storage.close()

    def stop(self) -> None:
        """Stop serving, within a second; from any thread."""
        self.should_stop = True

    def delete_queues(self) -> None:
        """Delete the queues on the broker: for a service that is gone for good, or they fill up."""
        with self.connection as connection:
            for queue in self._queues():
                bound = queue(connection.default_channel)
                bound.declare()  # on Redis a channel takes back those bindings only that it has made itself
                bound.delete()

    def get_consumers(self, make: Callable[..., Any], _: Any) -> list[Any]:
        """See kombu.mixins.ConsumerMixin."""
        calls, *notifications = self._queues()
        common = {"accept": ["json"], "prefetch_count": 1}
        return [
            make([calls], callbacks=[self._on_call], **common),
            *(make([queue], callbacks=[self._on_notification], **common) for queue in notifications),
        ]

    @contextmanager
    def establish_connection(self) -> Iterator[Connection]:
        """See kombu.mixins.ConsumerMixin; a service that waits for its broker can be stopped, too."""
        with self.create_connection() as connection:
            connection.ensure_connection(self.on_connection_error, interval_max=10, callback=self._check_stop)
            yield connection

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        """Say once that the broker is away."""
        if not self._lost:
            log.warning("bus_lost", bus=shown(self.settings.bus_uri), error=str(exc))
        self._lost = True

    def on_consume_ready(self, *_: Any, **__: Any) -> None:
        """Say that the service serves."""
        log.info("serving", service=self.name, bus=shown(self.settings.bus_uri))
        self._lost = False

    def on_iteration(self) -> None:
        """Stop when the process that started this one was killed."""
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            self.stop()

    def _queues(self) -> list[Queue]:
        keys = self.storage.routing_keys
        calls = Queue(self.name, self._exchange, routing_key=f"{self.name}.*")
        bindings = [binding(self._exchange, routing_key=key) for key in keys]
        return [calls, *([Queue(f"{self.name}.notifications", bindings=bindings)] if keys else [])]

    def _on_call(self, body: Any, message: Any) -> None:
        answer = rpc.answer(self._method, body, message)
        if message.properties.get("reply_to"):
            try:
                _reply(message, answer)
            except EncodeError as error:  # the method returned what is no JSON
                _reply(message, rpc.failed(body, error))
        message.ack()

    def _on_notification(self, body: Any, message: Any) -> None:
        try:
            self.storage.notify(body, message)
        except (KeyError, TypeError):
            log.warning("not_understood", routing_key=message.delivery_info.get("routing_key"))
        message.ack()

    def _method(self, name: str) -> Callable[..., Any] | None:
        method: Callable[..., Any] | None = getattr(self, f"on_{name}", None)
        return None if hasattr(Service, f"on_{name}") else method

    def _check_stop(self) -> None:
        if self.should_stop:
            raise _Stopped


def _reply(message: Any, answer: dict[str, Any]) -> None:
    properties = message.properties
    Producer(message.channel).publish(
        answer, routing_key=properties["reply_to"], correlation_id=properties.get("correlation_id")
    )


class _Stopped(Exception):
    """The service is to stop while it waits for its broker."""


def _check(settings: ServiceSettings) -> None:
    """Tell mistakes here, once: a process that has one is replaced by another that has it, too."""
    connection_to(settings.bus_uri)
    logs.configure(debug=settings.debug, more=settings.logging)
    StorageClient(settings).close()


def _run(service: type[Service], settings: ServiceSettings) -> None:
    logs.configure(debug=settings.debug, more=settings.logging)
    service(settings).run()
