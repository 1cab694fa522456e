"""Prometheus metrics: requests as they are answered, the fleet and its operations as they stand when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func
from sqlmodel import col, select

from commissaire.database import Database
from commissaire.fleet.checks import lag_seconds
from commissaire.records import Host, HostStatus, Operation, OperationKind, OperationState


class Metrics:
    """The metrics of one application."""

    def __init__(self, database: Database, *, watches: bool = True) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "commissaire_http_request_seconds",
            "Time to answer a request.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.notifications = Counter(
            "commissaire_bus_notifications",
            "Changes told on the message bus, or dropped because it was away or slow.",
            ("outcome",),
            registry=self.registry,
        )
        self.checks = Counter(
            "commissaire_host_checks", "Checks of hosts by this server.", ("outcome",), registry=self.registry
        )
        for outcome in ("passed", "failed", "unfinished"):
            self.checks.labels(outcome)
        self.registry.register(_Fleet(database, watches))

    def router(self) -> APIRouter:
        """Return the route that shows them."""
        router = APIRouter(tags=["health"])

        @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
        def metrics() -> Response:
            """Return the metrics in Prometheus' text format."""
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return router


class _Fleet(Collector):
    def __init__(self, database: Database, watches: bool) -> None:
        self._watches = watches
        self._database = database

    def describe(self) -> Iterable[Metric]:
        """Say nothing before the first scrape: there is no database to ask yet."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Count hosts by status, and operations by kind and state."""
        hosts = GaugeMetricFamily("commissaire_hosts", "Hosts by status.", labels=["status"])
        operations = GaugeMetricFamily(
            "commissaire_operations", "Operations by kind and state.", labels=["kind", "state"]
        )
        lag = GaugeMetricFamily("commissaire_host_check_lag_seconds", "How long the oldest due check has been due.")
        with self._database.read() as session:
            by_status = dict(session.exec(select(Host.status, func.count()).group_by(col(Host.status))).all())
            by_state = {
                (kind, state): number
                for kind, state, number in session.exec(
                    select(Operation.kind, Operation.state, func.count()).group_by(
                        col(Operation.kind), col(Operation.state)
                    )
                )
            }
            if self._watches:
                lag.add_metric([], lag_seconds(session))
        for status in HostStatus:
            hosts.add_metric([status], by_status.get(status, 0))
        for kind in OperationKind:
            for state in OperationState:
                operations.add_metric([kind, state], by_state.get((kind, state), 0))
        return [hosts, operations, lag]
