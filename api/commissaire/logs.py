"""Structured logs: JSON lines, or readable ones on a terminal, each with the request's and operation's id."""

from __future__ import annotations

import logging
import logging.config
import sys
from typing import Any

import structlog

from commissaire.configuration import SettingsError

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(*, debug: bool, more: dict[str, Any] | None = None) -> None:
    """Send everything, the libraries' logs included, to standard error; then apply *more* (`dictConfig`).

    Handlers in *more* may name the formatter `commissaire`, which writes as ours does.

    Raises:
        SettingsError: *more* can't be used.
    """
    render: list[structlog.typing.Processor]
    if sys.stderr.isatty():
        # no rich tracebacks: they show local variables, credentials among them
        render = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for noisy in ("uvicorn", "uvicorn.error"):
        logging.getLogger(noisy).handlers.clear()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if more:
        _apply(more, formatter)


def _apply(more: dict[str, Any], formatter: logging.Formatter) -> None:
    try:
        formatters = {"commissaire": {"()": lambda: formatter}, **more.get("formatters", {})}
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **more, "formatters": formatters})
    except (ValueError, TypeError, AttributeError) as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise SettingsError(f"setting 'logging': {error}{cause}; see Python's logging.config.dictConfig") from error
