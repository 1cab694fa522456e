"""The gate in front of all routes: who sends this request? Nobody known goes no further, not even to a 404."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Sequence

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from commissaire.auth.plugin import Authenticator
from commissaire.auth.self_auth import SelfAuths
from commissaire.problems import problem

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json"})
_CACHE_SIZE = 10_000
log = structlog.get_logger(__name__)


class Gate:
    """ASGI middleware: asks the authenticators in order, the first success wins, and remembers it for a while.

    What is at or below *self_auths* authenticates its clients itself.

    Under `/api/v0` a refusal is 403, as Commissaire 0.0.6 answers; elsewhere 401 with `WWW-Authenticate`.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticators: Sequence[Authenticator],
        cache_seconds: float,
        self_auths: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._self_auths = SelfAuths(self_auths)
        self._authenticators = authenticators
        self._cache = _VerifiedCredentials(cache_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with `state["user"]` set, or answer the refusal."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._self_auths.cover(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        user = await self._identify(headers)
        if user is not None:
            scope["state"]["user"] = user
            await self._app(scope, receive, send)
            return
        client = scope["client"][0] if scope.get("client") else ""
        log.warning("sign_in_refused", client=client, path=scope["path"], credentials="authorization" in headers)
        await _refusal(scope["path"])(scope, receive, send)

    async def _identify(self, headers: Headers) -> str | None:
        key = self._cache.key(headers)
        return self._cache.get(key) or await run_in_threadpool(self._ask, headers, key)

    def _ask(self, headers: Headers, key: bytes | None) -> str | None:
        for authenticator in self._authenticators:
            try:
                user = authenticator.authenticate(headers)
            except Exception:
                log.exception("authentication_plugin_broke", plugin=type(authenticator).__name__)
                continue
            if user is not None:
                if key is not None and getattr(authenticator, "cacheable", False):
                    self._cache.put(key, user)
                return user
        return None


class _VerifiedCredentials:
    """Credentials that were right, by a keyed hash of them: a bcrypt check costs a quarter of a second."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._secret = secrets.token_bytes(32)
        self._users: dict[bytes, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def key(self, headers: Headers) -> bytes | None:
        """Return the name under which these credentials are remembered; None when there are none."""
        credentials = [headers.get("authorization", ""), headers.get("x-auth-token", "")]
        if not any(credentials):
            return None
        return hmac.digest(self._secret, "\0".join(credentials).encode(), hashlib.sha256)

    def get(self, key: bytes | None) -> str | None:
        """Return whose credentials they are, if that is remembered."""
        expiry, user = self._users.get(key or b"", (0.0, ""))
        return user if time.monotonic() < expiry else None

    def put(self, key: bytes, user: str) -> None:
        """Remember them."""
        with self._lock:
            if len(self._users) >= _CACHE_SIZE:
                self._users.clear()
            self._users[key] = (time.monotonic() + self._seconds, user)


def refusal_status(path: str) -> int:
    """Return the status of a refusal at *path*."""
    return 403 if path == "/api/v0" or path.startswith("/api/v0/") else 401


def _refusal(path: str) -> ASGIApp:
    status = refusal_status(path)
    challenge = {"WWW-Authenticate": 'Basic realm="commissaire", charset="UTF-8"'} if status == 401 else None
    return problem(status, "the credentials are missing or wrong", headers=challenge)
