"""Where the agent's log goes: syslog, the standard error output, or a file."""

from __future__ import annotations

import logging
import sys
import syslog
from typing import Dict, Optional

LEVELS = ("debug", "info", "warning", "error", "critical")
_PRIORITIES: Dict[int, int] = {
    logging.DEBUG: syslog.LOG_DEBUG,
    logging.INFO: syslog.LOG_INFO,
    logging.WARNING: syslog.LOG_WARNING,
    logging.ERROR: syslog.LOG_ERR,
    logging.CRITICAL: syslog.LOG_CRIT,
}
_handler: Optional[logging.Handler] = None


def configure(level: str, handler: str) -> None:
    """Log what is as grave as *level* to *handler*: `syslog`, `-` or a path. Call it again to change or reopen it.

    Raises OSError where the file can't be opened; the log is then what it was.
    """
    global _handler
    made = _make(handler)
    logger = logging.getLogger("singularity")
    logger.propagate = False
    logger.setLevel(level.upper())
    if _handler:
        logger.removeHandler(_handler)
        _handler.close()
    logger.addHandler(made)
    _handler = made


def _make(handler: str) -> logging.Handler:
    if handler == "syslog":
        made: logging.Handler = _Syslog()
        made.setFormatter(_Formatter("%(message)s"))
        return made
    made = logging.StreamHandler(sys.stderr) if handler == "-" else logging.FileHandler(handler, encoding="utf-8")
    made.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s"))
    return made


class _Syslog(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        syslog.openlog("singularity", syslog.LOG_PID, syslog.LOG_DAEMON)

    def emit(self, record: logging.LogRecord) -> None:
        syslog.syslog(_PRIORITIES.get(record.levelno, syslog.LOG_NOTICE), self.format(record))


class _Formatter(logging.Formatter):
    """Keeps a record on one line, and what an exception says out of it: it may quote a secret."""

    def formatException(self, ei: object) -> str:  # noqa: N802  as logging calls it
        from singularity.errors import place

        error = ei[1] if isinstance(ei, tuple) else None
        return f"({type(error).__name__} at {place(error)})" if isinstance(error, BaseException) else ""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None
        text = super().format(record)
        return "".join(one if one.isprintable() else " " for one in text)
