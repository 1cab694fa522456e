"""The watcher: a thread that checks every known host again and again, spread out in time."""

from __future__ import annotations

import structlog

from commissaire.background import Background
from commissaire.clock import now
from commissaire.database import Database
from commissaire.dispatch.dispatcher import Dispatcher
from commissaire.fleet.checks import anything_to_do, claim_due, record, release, schedule, spread_overdue
from commissaire.fleet.operations import Requester, request_bootstrap
from commissaire.launcher.checks import Checks
from commissaire.metrics import Metrics

log = structlog.get_logger(__name__)
BATCH = 100
"""Hosts of one playbook, whose start costs as much as the checks of several hosts."""
_LONGEST_PAUSE_SECONDS = 30.0
_WATCHER = Requester("watcher", "")


class Watcher(Background):
    """Takes hosts that are due, looks at them, records what it found. Several servers share the work."""

    def __init__(
        self, database: Database, dispatcher: Dispatcher, checks: Checks, metrics: Metrics, interval_seconds: float
    ) -> None:
        super().__init__("watcher", min(_LONGEST_PAUSE_SECONDS, interval_seconds / 20))
        self._database = database
        self._dispatcher = dispatcher
        self._checks = checks
        self._metrics = metrics
        self._interval = interval_seconds
        self._spread = False

    def turn(self) -> float:
        """Check what is due; go on at once where that was more than one playbook takes."""
        if not self._spread:
            with self._database.write() as session:
                spread_overdue(session, self._interval)
            self._spread = True
        return 0 if self.look() == BATCH else self._pause_seconds

    def look(self) -> int:
        """Check the hosts that are due, as many as one playbook takes; return how many."""
        with self._database.read() as session:
            if not anything_to_do(session):
                return 0
        with self._database.write() as session:
            schedule(session, self._interval)
            addresses = claim_due(session, BATCH)
        if addresses and not self._stopping:
            self._check(addresses)
        return len(addresses)

    def _check(self, addresses: list[str]) -> None:
        begun = now()
        outcomes, words = self._checks.run(addresses)
        if self._stopping:  # what was killed on the way may look like a failure
            outcomes = {}
        left = set(addresses) - set(outcomes)
        with self._database.write() as session:
            news = record(session, outcomes, self._interval, begun)
            release(session, left)
            for host in news.to_bootstrap:
                self._dispatcher.enqueue(session, request_bootstrap(session, host, _WATCHER))
        for name, number in (
            ("passed", sum(not outcome.failure for outcome in outcomes.values())),
            ("failed", sum(bool(outcome.failure) for outcome in outcomes.values())),
            ("unfinished", len(left)),
        ):
            self._metrics.checks.labels(name).inc(number)
        for host in news.failed:
            log.warning("host_failed", host=host.address, message=host.message)
        for host in news.recovered:
            log.info("host_recovered", host=host.address, status=str(host.status))
        for host in news.to_bootstrap:
            log.info("bootstrap_again", host=host.address)
        if left and not self._stopping:
            log.error("checks_unfinished", hosts=len(left), message=words)
