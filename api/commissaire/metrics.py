"""Prometheus metrics: requests as they are answered, the fleet and its operations as they stand when somebody asks."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func
from sqlmodel import col, select

from commissaire.database import Database
from commissaire.fleet.checks import lag_seconds
from commissaire.managers.kubernetes import SeenNode
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
        self.nodes: dict[str, list[SeenNode] | None] = {}
        """By container manager what it said last; None when it could not be asked."""
        self.registry.register(_Fleet(database, watches))
        self.registry.register(_Managers(self))

    def router(self) -> APIRouter:
        """Return the route that shows them."""
        router = APIRouter(tags=["health"])

        @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
        def metrics() -> Response:
            """Return the metrics in Prometheus' text format."""
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return router


class _Managers(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Tell which container managers answer this server, and count their nodes."""
        up = GaugeMetricFamily(
            "commissaire_container_manager_up", "Whether it answered this server last.", labels=["container_manager"]
        )
        nodes = GaugeMetricFamily("commissaire_nodes", "Nodes by state.", labels=["container_manager", "state"])
        for name, found in self._metrics.nodes.items():
            up.add_metric([name], found is not None)
            if found is not None:
                states = Counts(_state(node) for node in found)
                for state in ("ready", "not_ready", "cordoned"):
                    nodes.add_metric([name, state], states[state])
        return [up, nodes]


def _state(node: SeenNode) -> str:
    if not node.ready:
        return "not_ready"
    return "cordoned" if node.cordoned else "ready"


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
