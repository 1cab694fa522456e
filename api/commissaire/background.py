"""A thread that does something again and again, until it is told to stop."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

import structlog
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger(__name__)


class Background(ABC):
    """Takes turns, and pauses between them; what goes wrong in one does not keep the next."""

    def __init__(self, name: str, pause_seconds: float) -> None:
        self._name = name
        self._pause_seconds = pause_seconds
        self._news = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def turn(self) -> float:
        """Do it once; return for how many seconds to pause then."""

    def start(self) -> None:
        """Start taking turns."""
        self._thread.start()

    def wake(self) -> None:
        """Take the next turn at once."""
        self._news.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._news.set()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end of what is under way."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopping:
            self._news.clear()
            pause_seconds = self._pause_seconds
            try:
                pause_seconds = self.turn()
            except SQLAlchemyError as error:
                log.error("turn_failed", what=self._name, error=str(error))
            except Exception:
                log.exception("turn_broke", what=self._name)
            if not self._stopping:
                self._news.wait(pause_seconds)
