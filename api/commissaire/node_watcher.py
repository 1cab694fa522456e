"""The node watcher: a thread that looks again and again which hosts are nodes of their container managers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from sqlmodel import Session, col, select

from commissaire.background import Background
from commissaire.clock import now
from commissaire.database import Database
from commissaire.fleet.container_managers import registers_nodes, revealed_options
from commissaire.fleet.nodes import record_nodes
from commissaire.managers.error import ManagerError
from commissaire.managers.kubernetes import SeenNode, list_nodes
from commissaire.metrics import Metrics
from commissaire.records import Cluster, ContainerManager
from commissaire.secrets.errors import SecretError
from commissaire.secrets.store import SecretStore

log = structlog.get_logger(__name__)
_AT_ONCE = 4
"""Container managers that are asked at the same time: one that hangs keeps few others waiting."""


class NodeWatcher(Background):
    """Lists the nodes of every container manager that a cluster uses, records what that means, and counts them.

    Each server does it for itself: the same list means the same, and each can tell in its metrics whom it reaches.
    """

    def __init__(self, database: Database, store: SecretStore, metrics: Metrics, interval_seconds: float) -> None:
        super().__init__("node_watcher", interval_seconds)
        self._database = database
        self._store = store
        self._metrics = metrics
        self._errors: dict[str, str] = {}

    def turn(self) -> float:
        """Look once."""
        self.look()
        return self._pause_seconds

    def look(self) -> None:
        """Ask all container managers, and record what they say."""
        with self._database.read() as session:
            managers = self._managers(session)
        begun = now()
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            found = dict(zip(managers, threads.map(self._list, managers.values()), strict=True))
        for name, nodes in found.items():
            if self._stopping:
                return
            if isinstance(nodes, str):
                self._tell_error(name, nodes)
                continue
            if self._errors.pop(name, ""):
                log.info("container_manager_recovered", container_manager=name)
            with self._database.write() as session:
                news = record_nodes(session, name, nodes, begun)
            for address, what in news.items():
                log.warning("node_changed", host=address, message=what)
        self._metrics.nodes = {name: None if isinstance(nodes, str) else nodes for name, nodes in found.items()}

    def _managers(self, session: Session) -> dict[str, dict[str, Any] | str]:
        """Return the options of those to ask, or why they can't be used."""
        used = select(Cluster.container_manager)
        managers = session.exec(select(ContainerManager).where(col(ContainerManager.name).in_(used))).all()
        return {manager.name: self._options(session, manager) for manager in managers if registers_nodes(manager)}

    def _options(self, session: Session, manager: ContainerManager) -> dict[str, Any] | str:
        try:
            return revealed_options(session, self._store, manager)
        except SecretError as error:
            return str(error)

    def _tell_error(self, name: str, error: str) -> None:
        if self._errors.get(name) != error:
            log.warning("container_manager_failed", container_manager=name, error=error)
        self._errors[name] = error

    def _list(self, options: dict[str, Any] | str) -> list[SeenNode] | str:
        if isinstance(options, str):
            return options
        if self._stopping:
            return "not asked: the server stops"
        try:
            return list_nodes(options)
        except ManagerError as error:
            return str(error)
