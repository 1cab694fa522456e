"""The gate in front of all routes: who sends this request? Nobody known goes no further, not even to a 404."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from cryptography import x509
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from commissaire.auth.basic import basic_credentials
from commissaire.auth.entry import Entry, User
from commissaire.auth.plugin import SignIn
from commissaire.auth.self_auth import SelfAuths
from commissaire.auth.throttle import Throttle
from commissaire.auth.verified import VerifiedCredentials
from commissaire.problems import problem

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/virt.xsl"})
_ASKED_AT_ONCE = 16
"""Sign-ins that plugins look at; each takes a thread, and the routes need theirs (there are 40)."""
log = structlog.get_logger(__name__)


class Gate:
    """ASGI middleware: asks the plugins in order, the first success wins, and remembers it for a while.

    What is at or below *self_auths* authenticates its clients itself, or is everybody's.

    Under `/api/v0` a refusal is 403, as Commissaire 0.0.6 answers; elsewhere 401 with `WWW-Authenticate`. It waits when
    there were many (`Throttle`).
    """

    def __init__(
        self,
        app: ASGIApp,
        entries: Sequence[Entry],
        cache_seconds: float,
        refusal_delay_seconds: float,
        self_auths: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._self_auths = SelfAuths(self_auths)
        self._entries = entries
        self._alike = all(entry.cacheable for entry in entries)
        self._challenge = _challenge(entries)
        self._verified = VerifiedCredentials(cache_seconds)
        self._throttle = Throttle(refusal_delay_seconds)
        self._turns = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._asking: dict[bytes, asyncio.Task[User | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with `state["user"]` and `state["role"]` set, or answer the refusal."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        is_socket = scope["type"] == "websocket"  # whose routes are open to nobody, and to no page of another site's
        if is_socket and "origin" in Headers(scope=scope):
            await problem(403, "WebSockets are not for browsers here")(scope, receive, send)
            return
        if not is_socket and (scope["path"] in OPEN_PATHS or self._self_auths.cover(scope["path"])):
            scope["state"]["role"] = None
            await self._app(scope, receive, send)
            return
        sign_in = _sign_in(scope)
        try:
            user = await self._identify(sign_in)
        except HTTPException as answer:  # a plugin's own, or the throttle's
            headers = dict(answer.headers or {})
            await problem(answer.status_code, str(answer.detail), headers=headers)(scope, receive, send)
            return
        if user is None:
            await self._refuse(sign_in, scope["path"])
            await self._refusal(scope["path"])(scope, receive, send)
            return
        scope.setdefault("state", {}).update(user=user.name, role=user.role)
        await self._app(scope, receive, send)

    async def _identify(self, sign_in: SignIn) -> User | None:
        key = self._verified.key(sign_in)
        user = self._verified.get(key)
        if user is not None:
            return user
        self._check_throttle(sign_in)
        if key is None or not self._alike:
            return await self._ask_in_turn(sign_in, key)
        task = self._asking.get(key)  # many requests with the same credentials are one question
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask_in_turn(sign_in, key))
            task.add_done_callback(lambda _: self._asking.pop(key))
        return await asyncio.shield(task)

    async def _ask_in_turn(self, sign_in: SignIn, key: bytes | None) -> User | None:
        async with self._turns:
            self._check_throttle(sign_in)  # again: those before it in the queue may have been refused
            return await run_in_threadpool(self._ask, sign_in, key)

    def _ask(self, sign_in: SignIn, key: bytes | None) -> User | None:
        cacheable = True
        for entry in self._entries:
            cacheable = cacheable and entry.cacheable  # else one before it might let somebody else in the next time
            try:
                user = entry.identify(sign_in)
            except HTTPException:
                raise
            except Exception:
                log.exception("authentication_plugin_broke", plugin=entry.name)
                continue
            if user is not None:
                if key is not None and cacheable:
                    self._verified.put(key, user)
                return user
        return None

    def _check_throttle(self, sign_in: SignIn) -> None:
        if _has_credentials(sign_in):
            self._throttle.check(sign_in.client, "sign_in_not_looked_at", "credentials")

    async def _refuse(self, sign_in: SignIn, path: str) -> None:
        """Log a refusal, and let it wait when there were many."""
        user, _ = basic_credentials(sign_in.headers.get("authorization", "")) or ("", "")
        known = {"client": sign_in.client, "user": user[:100], "path": path}
        if not _has_credentials(sign_in):
            log.warning("sign_in_refused", **known, credentials=False)
            return
        with self._throttle.refusal(sign_in.client, user) as seconds:
            log.warning("sign_in_refused", **known, credentials=True, delay_seconds=seconds)
            await asyncio.sleep(seconds)

    def _refusal(self, path: str) -> ASGIApp:
        status = refusal_status(path)
        challenge = {"WWW-Authenticate": self._challenge} if status == 401 else None
        return problem(status, "the credentials are missing or wrong", headers=challenge)


def refusal_status(path: str) -> int:
    """Return the status of a refusal at *path*."""
    return 403 if path == "/api/v0" or path.startswith("/api/v0/") else 401


def _sign_in(scope: Scope) -> SignIn:
    client = scope["client"][0] if scope.get("client") else ""
    chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
    certificate = x509.load_pem_x509_certificate(chain[0].encode()) if chain else None
    return SignIn(Headers(scope=scope), certificate, scope.get("scheme", "http"), client)


def _has_credentials(sign_in: SignIn) -> bool:
    return "authorization" in sign_in.headers or "x-auth-token" in sign_in.headers


def _challenge(entries: Sequence[Entry]) -> str:
    """Return what a 401 asks for (RFC 9110, section 11.6.1): the schemes of the plugins that tell."""
    told = [entry.security for entry in entries if entry.security]
    found = [security["scheme"] for security in told if security["type"] == "http"]
    schemes = dict.fromkeys(found or ["basic"])
    return ", ".join(
        f'{scheme.capitalize()} realm="commissaire"' + (', charset="UTF-8"' if scheme == "basic" else "")
        for scheme in schemes
    )
