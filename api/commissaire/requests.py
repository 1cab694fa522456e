"""What happens around every request: an id, a log line, a measurement, and an audit entry when it changes something
or reads what is marked `x-audit`."""

from __future__ import annotations

import re
import time
import uuid
from urllib.parse import quote

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commissaire.auth.role import READING
from commissaire.database import Database
from commissaire.metrics import Metrics
from commissaire.problems import unexpected
from commissaire.records import AuditEntry

log = structlog.get_logger(__name__)
MAX_BODY_BYTES = 4 * 1024 * 1024
_FILES = re.compile(r"/api/v1/guests/[^/]+/files")
"""Where bodies are files, which may be larger."""
AUDIT_DETAIL = "audit_detail"
"""In a request's state: what its audit entry tells besides method and path."""
_METHODS = (*READING, "PUT", "POST", "DELETE", "PATCH")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class RequestRecorder:
    """ASGI middleware, the outermost. One trailing slash of a path is dropped: every route answers with and without."""

    def __init__(self, app: ASGIApp, database: Database, metrics: Metrics, file_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._file_bytes = file_bytes
        self._database = database
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope["path"] = path[:-1]
        scope.setdefault("state", {}).update(request_id=request_id, user="")
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        begin = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, _limited(scope, receive, self._most(scope)), send_with_id)
            except Exception:
                log.exception("unexpected_error", path=scope["path"])
                if status:
                    raise
                await unexpected()(scope, receive, send_with_id)
            finally:
                await self._record(scope, status or 500, time.perf_counter() - begin)

    def _most(self, scope: Scope) -> int:
        """Return how many bytes a body may have."""
        is_file = scope["method"] == "PUT" and _FILES.fullmatch(scope["path"])
        return self._file_bytes if is_file else MAX_BODY_BYTES

    async def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        self._metrics.requests.labels(method, getattr(route, "path", "(none)"), status).observe(seconds)
        client = scope["client"][0] if scope.get("client") else ""
        what = f"{scope['method']} {quote(scope['path'], safe='/:')}"[:1000]
        who = scope["state"]["user"]
        log.info("request", what=what, who=who, client=client, status=status, seconds=round(seconds, 4))
        reveals = (getattr(route, "openapi_extra", None) or {}).get("x-audit", False)
        if not who or not (
            reveals or scope["method"] not in READING
        ):  # the log has strangers; they must not fill a table
            return
        role, request_id = scope["state"].get("role") or "", scope["state"]["request_id"]
        detail = scope["state"].get(AUDIT_DETAIL, "")[:1000]
        entry = AuditEntry(
            who=who, role=role, what=what, detail=detail, client=client, outcome=status, request_id=request_id
        )
        try:
            await run_in_threadpool(self._audit, entry)
        except SQLAlchemyError as error:
            log.error("audit_failed", error=str(error))

    def _audit(self, entry: AuditEntry) -> None:
        with self._database.write() as session:
            session.add(entry)


def _limited(scope: Scope, receive: Receive, most: int) -> Receive:
    """Refuse a body that is too large, when somebody reads it."""
    announced = Headers(scope=scope).get("content-length", "0")
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        too_large = len(announced) > len(str(most)) or int(announced) > most
        message: Message = {} if too_large else await receive()
        received += len(message.get("body", b""))
        if too_large or received > most:
            raise HTTPException(413, f"the body is larger than {most} bytes")
        return message

    return receive_limited
