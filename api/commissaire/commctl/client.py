"""HTTP to the server: one connection kept per endpoint, endpoints tried in order, answers decoded."""

from __future__ import annotations

import base64
import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from commissaire.commctl.errors import CommctlError, NoObjectError, NoServerError, RefusedError

# httpx imports its own command line when click and rich are there, which is most of its import time; it copes without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpx  # noqa: E402

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from websockets.sync.client import ClientConnection as Connection

    from commissaire.commctl.config import Settings

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
_PIECE_BYTES = 128 * 1024
SILENCE_SECONDS = 20.0  # servers send a comment every 15 s


@dataclass(frozen=True)
class Answer:
    """A success: its status, decoded JSON body, and Location header ("" without one)."""

    status: int
    body: Any
    location: str


@dataclass(frozen=True)
class Reply:
    """A success, whatever it holds: its status, Location header ("" without one), and body."""

    status: int
    location: str
    content: bytes

    def json(self) -> Any:
        """Return the decoded body. Raises CommctlError when it is no JSON."""
        try:
            return json.loads(self.content)
        except ValueError:
            raise CommctlError("the answer is not in JSON: is it a Commissaire server?") from None


class Client:
    """A connection to the first endpoint that can be reached.

    Methods take paths below the endpoint. They raise NoServerError when no endpoint answers, NoObjectError for a GET
    of something that isn't there, and RefusedError for every other error status. An answer is waited for
    *patience_seconds*.
    """

    def __init__(self, settings: Settings, patience_seconds: float = ANSWER_SECONDS) -> None:
        self._settings = settings
        self._timeout = httpx.Timeout(patience_seconds, connect=min(CONNECT_SECONDS, patience_seconds))
        self._order = list(settings.endpoints)
        self._clients: dict[str, httpx.Client] = {}
        self.clock_skew_seconds = 0.0
        """How far the server's clock is ahead of ours, as of its last answer."""

    def get(self, path: str, params: dict[str, Any] | None = None) -> Answer:
        """Fetch *path*."""
        return self._call("GET", path, params=params)

    def put(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Put *body*, `{}` when there is none."""
        return self._call("PUT", path, json=body or {})

    def post(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Post *body*, `{}` when there is none."""
        return self._call("POST", path, json=body or {})

    def delete(self, path: str) -> Answer:
        """Delete *path*. The body is `{}`, which servers of the v0 interface expect."""
        return self._call("DELETE", path, json={})

    def read(self, path: str, params: dict[str, Any] | None = None, patience_seconds: float = ANSWER_SECONDS) -> bytes:
        """Fetch *path*, which is no JSON."""
        timeout = httpx.Timeout(patience_seconds, connect=CONNECT_SECONDS)
        return self._response("GET", path, params=params, timeout=timeout).content

    def ask(
        self,
        method: str,
        path: str,
        params: dict[str, Any],
        body: dict[str, Any] | None,
        content: bytes | None,
        patience_seconds: float,
        sent: Callable[[int], None] | None,
        received: Callable[[int, int], None] | None,
    ) -> Reply:
        """Send *body* as JSON, or *content* as it is, and return the whole answer.

        *sent* is told how many bytes of *content* have gone, *received* how many of the answer have come, and of how
        many, 0 when that isn't known.
        """
        timeout = httpx.Timeout(patience_seconds, connect=CONNECT_SECONDS)
        given: dict[str, Any] = {"params": params, "timeout": timeout}

        def make(client: httpx.Client) -> httpx.Request:
            if content is None:
                return client.build_request(method, path, json=body, **given)
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
            return client.build_request(method, path, content=_pieces(content, sent), headers=headers, **given)

        response = self._first(make)
        try:
            with _network_errors(f"{method} {path}"):
                whole = _whole(response, received if response.is_success else None)
        finally:
            response.close()
        if not response.is_success:
            self._raise_refused(httpx.Response(response.status_code, content=whole, request=response.request))
        return Reply(response.status_code, response.headers.get("Location", ""), whole)

    @contextmanager
    def stream(self, path: str, headers: dict[str, str]) -> Iterator[Iterator[bytes]]:
        """Yield the chunks of an answer as they come. NoServerError when none came for SILENCE_SECONDS."""
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        response = self._first(lambda client: client.build_request("GET", path, headers=headers, timeout=timeout))
        try:
            with _network_errors(f"GET {path}"):
                if not response.is_success:
                    response.read()
                    self._raise_refused(response)
                yield response.iter_bytes()
        finally:
            response.close()

    def socket(self, path: str) -> Connection:
        """Open the WebSocket at *path* of the endpoint that answered last."""
        from websockets.exceptions import InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        endpoint = self._order[0]
        request = self._authorize(self._client(endpoint).build_request("GET", path))
        signed = {"Authorization": request.headers["Authorization"]} if "Authorization" in request.headers else {}
        context = self._verification(endpoint)
        url = str(request.url.copy_with(scheme="wss" if endpoint.startswith("https:") else "ws"))
        try:
            return connect(
                url,
                additional_headers=signed,
                ssl=None if isinstance(context, bool) else context,
                open_timeout=ANSWER_SECONDS,
                proxy=None,
            )
        except InvalidStatus as error:
            answer = httpx.Response(error.response.status_code, content=error.response.body, request=request)
            self._raise_refused(answer)
            raise
        except (OSError, WebSocketException) as error:
            raise NoServerError(f"no console at {endpoint}: {error}") from None

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()

    def _call(self, method: str, path: str, **request: Any) -> Answer:
        response = self._response(method, path, **request)
        try:
            body = response.json() if response.content else None
        except ValueError:
            raise CommctlError(f"{response.url} answered, but not in JSON: is it a Commissaire server?") from None
        return Answer(response.status_code, body, response.headers.get("Location", ""))

    def _response(self, method: str, path: str, **request: Any) -> httpx.Response:
        response = self._first(lambda client: client.build_request(method, path, **request))
        try:
            with _network_errors(f"{method} {path}"):
                response.read()
        finally:
            response.close()
        if not response.is_success:
            self._raise_refused(response)
        return response

    def _first(self, make: Callable[[httpx.Client], httpx.Request]) -> httpx.Response:
        """Send to the endpoint that answered last, then to the others; return the first answer, its body unread."""
        failures = []
        for endpoint in list(self._order):
            client = self._client(endpoint)
            request = make(client)
            try:
                with _network_errors(f"{request.method} {request.url.path}"):
                    response = client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failures.append(f"{endpoint}: {error or 'timed out'}")
                continue
            self._order.sort(key=lambda other, answered=endpoint: other != answered)  # type: ignore[misc]
            self._note_clock(response)
            return response
        raise NoServerError("no server: " + "; ".join(failures))

    def _raise_refused(self, response: httpx.Response) -> None:
        try:
            body = response.json()
        except ValueError:
            body = None
        missing = response.status_code == 404 and response.request.method == "GET"
        asker = f"asked as {self._settings.credentials.owner} at {self._order[0]}: {self._settings.origin}"
        raise (NoObjectError if missing else RefusedError)(response.status_code, response.reason_phrase, body, asker)

    def _client(self, endpoint: str) -> httpx.Client:
        if endpoint not in self._clients:
            try:
                self._clients[endpoint] = httpx.Client(
                    base_url=endpoint,
                    auth=self._authorize,
                    headers={"Content-Type": "application/json", "User-Agent": "commctl"},
                    timeout=self._timeout,
                    verify=self._verification(endpoint),
                    mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},  # never by a proxy
                )
            except httpx.InvalidURL as error:
                raise CommctlError(f"endpoint {endpoint!r} is no URL: {error}") from None
        return self._clients[endpoint]

    def _authorize(self, request: httpx.Request) -> httpx.Request:
        """Sign *request* with the token, else with name and password; a certificate alone needs nothing here."""
        credentials = self._settings.credentials
        if credentials.token:
            request.headers["Authorization"] = f"Bearer {credentials.token}"
        elif credentials.username:
            pair = f"{credentials.username}:{credentials.password}".encode()
            request.headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return request

    def _verification(self, endpoint: str) -> ssl.SSLContext | bool:
        if not endpoint.startswith("https:"):
            return False  # reading the authorities costs time that http needn't spend
        from commissaire.commctl.tls import context

        return context(self._settings)

    def _note_clock(self, response: httpx.Response) -> None:
        try:
            skew = parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time()
        except (KeyError, TypeError, ValueError):
            return
        self.clock_skew_seconds = skew if abs(skew) > 2 else 0.0  # the header has whole seconds


def _pieces(content: bytes, sent: Callable[[int], None] | None) -> Iterator[bytes]:
    for begin in range(0, len(content), _PIECE_BYTES):
        piece = content[begin : begin + _PIECE_BYTES]
        yield piece
        if sent is not None:
            sent(begin + len(piece))


def _whole(response: httpx.Response, received: Callable[[int, int], None] | None) -> bytes:
    """Return the body of an answer, telling how far it is."""
    whole, total = bytearray(), int(response.headers.get("Content-Length", 0))
    for piece in response.iter_bytes(_PIECE_BYTES):
        whole += piece
        if received is not None:
            received(len(whole), total)
    return bytes(whole)


@contextmanager
def _network_errors(request: str) -> Iterator[None]:
    """Turn what goes wrong once connected into NoServerError; connecting itself is the caller's."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout):
        raise
    except httpx.TimeoutException:
        raise NoServerError(f"the server took the connection, but gave no answer to {request} in time") from None
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise NoServerError(f"the server broke off its answer to {request}: {error}") from None
