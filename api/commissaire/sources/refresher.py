"""Keeps what providers tell up to date: a thread a source, so that one that hangs holds up no other."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from commissaire.database import Database
from commissaire.fleet.sources import claim, is_due, record_failure, record_listing
from commissaire.settings import SourceSettings
from commissaire.sources.listing import ListingError
from commissaire.sources.provider import list_hosts

log = structlog.get_logger(__name__)
_LONGEST_PAUSE_SECONDS = 5.0
_LEASE_MARGIN_SECONDS = 30


class Refresher:
    """Lists each source every `refresh_seconds`, and at once when it is asked for. Several servers share the work."""

    def __init__(self, database: Database, sources: dict[str, SourceSettings], runtime: Path) -> None:
        self._database = database
        self._runtime = runtime
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(name, source), name=f"source-{name}", daemon=True)
            for name, source in sources.items()
        ]

    def start(self) -> None:
        """Start listing."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """List nothing more; what runs is ended by its time limit, or by the next start."""
        self._stopping.set()

    def refresh(self, name: str, source: SourceSettings) -> bool:
        """List a source if it is due; return whether it was."""
        with self._database.read() as session:
            if not is_due(session, name):
                return False
        with self._database.write() as session:
            if not claim(session, name, source.timeout_seconds + _LEASE_MARGIN_SECONDS):
                return False
        try:
            listed = list_hosts(source, self._runtime, name)
        except (ListingError, OSError) as error:
            with self._database.write() as session:
                news = record_failure(session, name, str(error), source.refresh_seconds)
            if news:
                log.warning("source_failed", source=name, message=str(error))
            return True
        with self._database.write() as session:
            record_listing(session, name, listed, source.refresh_seconds)
        log.info("source_listed", source=name, hosts=len(listed))
        return True

    def _keep(self, name: str, source: SourceSettings) -> None:
        pause = min(_LONGEST_PAUSE_SECONDS, source.refresh_seconds)
        while not self._stopping.is_set():
            try:
                self.refresh(name, source)
            except SQLAlchemyError as error:
                log.error("source_not_recorded", source=name, error=str(error))
            except Exception:
                log.exception("source_broke", source=name)
            self._stopping.wait(pause)
